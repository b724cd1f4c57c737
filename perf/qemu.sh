#!/usr/bin/env bash
# Owners of short connections on another kernel, booted under qemu: perf/qemu.sh [VARIANTS-NOT-TRIED] ...
#
# Without arguments it boots Debian's kernel once and watches three times: with the programs that it takes
# best, without fentry, and without fentry and kprobes. Each argument is one such run: a list of variants
# that are not tried, with commas ("-" for none). Then it boots once more, locked down, and looks whether the
# program says so and goes on without BPF (LOCKDOWN= leaves that out).
#
#   KERNEL   bzImage; by default that of Debian's package, fetched with apt-get download and unpacked
#   WORK     where that is kept
#   COUNT    connections of each kind and life (100)
#   LIVES    ms (1 10 100)
#   KVM      not empty: with /dev/kvm instead of emulation
#   PATIENCE seconds until a boot is given up (900)
#   LOCKDOWN how it is locked down the second time (confidentiality); empty: not
#
# Needs qemu-system-x86_64, busybox (static), cpio, cc; no root, no KVM. Ends with a message where one is missing.
arguments="$*"
. "$(dirname "$0")/lib.sh"
need qemu-system-x86_64 cpio cc gzip
busybox=$(command -v busybox || true)
[ -n "$busybox" ] || skip "busybox is not installed (Debian: busybox-static)"
program
work_directory

kernel=${KERNEL:-}
if [ -z "$kernel" ]; then
    kernel=$(ls "$work"/kernel/boot/vmlinuz-* 2>/dev/null | head -1 || true)
    if [ -z "$kernel" ]; then
        need apt-get dpkg-deb
        package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/.*Depends: \(linux-image-[0-9]\S*\)$/\1/p' | head -1)
        [ -n "$package" ] || skip "apt knows no linux-image-amd64 (KERNEL names another)"
        (cd "$work" && apt-get download "$package" >/dev/null 2>&1) || skip "$package cannot be fetched"
        dpkg-deb -x "$work/$package"_*.deb "$work/kernel"
        kernel=$(ls "$work"/kernel/boot/vmlinuz-* | head -1)
    fi
fi

# Talks over loopback: every connection from a process of its own, named cN.
cat >"$work/load.c" <<'C'
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
static struct sockaddr_in at(int port) {
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(0x7f000001) };
	return a;
}
static int bound(int kind, int port) {
	struct sockaddr_in a = at(port);
	int one = 1, s = socket(AF_INET, kind, 0);
	setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(s, (void *)&a, sizeof a)) { perror("bind"); exit(1); }
	return s;
}
static void echo(void) {
	int u = bound(SOCK_DGRAM, 53), l = bound(SOCK_STREAM, 8080), s;
	char b[64];
	struct sockaddr_in from;
	listen(l, 512);
	if (!fork())
		for (;;) { socklen_t len = sizeof from; long n = recvfrom(u, b, sizeof b, 0, (void *)&from, &len); sendto(u, b, n, 0, (void *)&from, len); }
	if (!fork())
		while ((s = accept(l, 0, 0)) >= 0) { if (!fork()) { long n; close(l); while ((n = read(s, b, sizeof b)) > 0) if (write(s, b, n) < 0) break; _exit(0); } close(s); while (waitpid(-1, 0, WNOHANG) > 0) ; }
}
int main(int argc, char **argv) {
	char path[64], port[16], number[16];
	if (argc == 4 && strchr("tu", *argv[1])) { /* t|u port ms */
		int s = bound(*argv[1] == 't' ? SOCK_STREAM : SOCK_DGRAM, atoi(argv[2]));
		struct sockaddr_in to = at(*argv[1] == 't' ? 8080 : 53);
		struct timeval patience = { 2, 0 };
		char b[16];
		setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
		if (*argv[1] == 't' && connect(s, (void *)&to, sizeof to)) return 1;
		if (sendto(s, "hello", 5, 0, *argv[1] == 't' ? 0 : (void *)&to, *argv[1] == 't' ? 0 : sizeof to) < 0) return 1;
		if (recv(s, b, sizeof b, 0) < 0) return 1;
		usleep(atoi(argv[3]) * 1000);
		return 0;
	}
	if (argc == 2) { echo(); return 0; }
	/* load COUNT MS FIRST-PORT */
	int count = atoi(argv[1]), first = atoi(argv[4]);
	for (int i = 0; i < 2 * count; i++) {
		sprintf(path, "/t/c%d", first + i); sprintf(port, "%d", first + i); sprintf(number, "%s", argv[2]);
		if (link("/load", path)) perror(path);
		if (!fork()) { execl(path, path, i % 2 ? "u" : "t", port, number, (char *)0); _exit(9); }
		usleep(20000);
		while (waitpid(-1, 0, WNOHANG) > 0) ;
	}
	while (wait(0) > 0) ;
	return 0;
}
C
rm -rf "$work/root"
mkdir -p "$work/root"/{bin,proc,sys,tmp,t,dev,etc}
cc -O2 -static -o "$work/root/load" "$work/load.c"
cp "$busybox" "$work/root/bin/busybox"
echo "root:x:0:0::/:/bin/sh" >"$work/root/etc/passwd"
cp "$rustnet" "$work/root/bin/rustnet"
ldd "$rustnet" | grep -oE '/[^ ]+' | while read -r library; do
    mkdir -p "$work/root$(dirname "$library")"
    cp -L "$library" "$work/root$library"
done
[ $# -gt 0 ] || set -- - fentry,accept 'fentry,accept,kprobe,accept by kretprobe'
{
    cat <<'INIT'
#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin
mount -t proc proc /proc; mount -t sysfs sys /sys; mount -t devtmpfs dev /dev; mount -t cgroup2 cgroup /sys/fs/cgroup
mount -t tracefs tracefs /sys/kernel/tracing; mount -t securityfs securityfs /sys/kernel/security
ifconfig lo up
echo 3 >/proc/sys/kernel/printk
/load echo
echo "RESULT kernel $(uname -r)"
if grep -q lockdown= /proc/cmdline; then
    rustnet -i lo --headless --duration 10 >/tmp/out.jsonl 2>/tmp/err & watcher=$!
    n=0; while ! grep -q header /tmp/out.jsonl && [ $n -lt 60 ]; do sleep 1; n=$((n + 1)); done
    /load 3 4000 x 20000
    wait $watcher
    echo "RESULT lockdown $(cat /sys/kernel/security/lockdown)"
    sed 's/^/RESULT   /' /tmp/err | head -3
    tail -1 /tmp/out.jsonl | grep -oE '"owners":"[^"]*"|"owner_reason":"[^"]*"' | tr "\n" " " | sed "s/^/RESULT   /"; echo
    echo "RESULT   named $(grep -oE '"process":"c2000[0-9]"' /tmp/out.jsonl | sort -u | wc -l) of 6"
    poweroff -f
fi
INIT
    echo "LIVES='${LIVES:-1 10 100}' COUNT=${COUNT:-100}"
    first=20000
    for without in "$@"; do
        echo "WITHOUT='${without#-}' FIRST=$first"
        cat <<'INIT'
export RUSTNET_BPF_WITHOUT="$WITHOUT"
rm -f /tmp/out.jsonl; touch /tmp/out.jsonl
rustnet -i lo --headless --duration 3600 --owners bpf >/tmp/out.jsonl 2>/tmp/err & watcher=$!
n=0; while ! grep -q header /tmp/out.jsonl && [ $n -lt 60 ]; do sleep 1; n=$((n + 1)); done
sleep 6
for ms in $LIVES; do
    /load $COUNT $ms x $FIRST
    FIRST=$((FIRST + 2 * COUNT))
done
sleep 5
kill -INT $watcher; wait $watcher
FIRST=$((FIRST - 2 * COUNT * $(echo $LIVES | wc -w)))
for ms in $LIVES; do
    grep '"type":"flow"' /tmp/out.jsonl | awk -v first=$FIRST -v count=$COUNT -v ms=$ms -v without="$WITHOUT" '
        { match($0, /"sport":[0-9]+/); port = substr($0, RSTART + 8, RLENGTH - 8) + 0
          if (port < first || port >= first + 2 * count) { match($0, /"dport":[0-9]+/); port = substr($0, RSTART + 8, RLENGTH - 8) + 0 }
          if (port < first || port >= first + 2 * count) next
          name = ""; if (match($0, /"process":"[^"]*"/)) name = substr($0, RSTART + 11, RLENGTH - 12)
          kind = (port - first) % 2; seen[kind]++
          if (name == "c" port) right[kind]++; else if (name != "") { wrong[kind]++; print "RESULT   wrong: " port " is " name } }
        END { for (k = 0; k < 2; k++) printf "RESULT without \047%s\047 %s %d ms: %d of %d right, %d wrong, %d seen\n", without, k ? "udp" : "tcp", ms, right[k], count, wrong[k], seen[k] }'
    FIRST=$((FIRST + 2 * COUNT))
done
tail -1 /tmp/out.jsonl | grep -oE '"owner[a-z_]*":("[^"]*"|[0-9]+)' | tr "\n" " " | sed "s/^/RESULT   /"; echo
head -3 /tmp/err | sed 's/^/RESULT   /'
INIT
        first=$((first + 2 * ${COUNT:-100} * $(wc -w <<<"${LIVES:-1 10 100}")))
    done
    echo 'poweroff -f'
} >"$work/root/init"
chmod +x "$work/root/init"
(cd "$work/root" && find . | cpio -o -H newc --quiet | gzip -1) >"$work/initramfs.gz"

# Emulated, unless asked: where this is a guest itself, /dev/kvm may be there and hang.
accelerate=
[ -n "${KVM:-}" ] && accelerate=-enable-kvm

# boot NAME APPEND...: prints what the guest has to say
boot() {
    local console="$work/$1.txt"
    shift
    # shellcheck disable=SC2086
    timeout "${PATIENCE:-900}" qemu-system-x86_64 -m 1024 -smp 2 -nographic -no-reboot $accelerate \
        -kernel "$kernel" -initrd "$work/initramfs.gz" -append "console=ttyS0 quiet panic=-1 $*" </dev/null >"$console" 2>&1 ||
        { tail -20 "$console"; echo "qemu ended with an error" >&2; exit 1; }
    tr -d '\r' <"$console" | sed -n 's/^.*RESULT //p'
}

echo "qemu $(basename "$kernel") ${accelerate:-(emulated)}"
boot console
grep -q 'RESULT .*right' "$work/console.txt" || { tail -30 "$work/console.txt"; exit 1; }
! grep -qE '[1-9][0-9]* wrong' "$work/console.txt"
lockdown=${LOCKDOWN-confidentiality}
[ -n "$lockdown" ] || exit 0
boot locked "lockdown=$lockdown"
# Integrity leaves reading the kernel's memory alone, and with it these programs.
[ "$lockdown" != confidentiality ] || grep -q 'RESULT .*locked down' "$work/locked.txt" ||
    { echo "the lockdown is not named" >&2; exit 1; }
