//! Which container a process runs in, by the path of its control group.
//!
//! Runtimes put their ids into the paths: 64 hex digits, of which the first 12 are what their
//! commands show. Pods of Kubernetes have a UUID.

/// Returns the runtime and the short id (`docker 0123456789ab`), of a pod `pod` and its UUID, or
/// `lxc` and the name. `paths` holds one control group a line, as `/proc/<pid>/cgroup` does.
pub fn container(paths: &str) -> Option<Box<str>> {
    paths.lines().find_map(|line| of_path(line.rsplit_once(':').map_or(line, |(_, path)| path)))
}

/// Returns the path of the control group, that of the unified hierarchy where it is in use; `None` for the root.
pub fn group(paths: &str) -> Option<Box<str>> {
    let below_root = paths.lines().filter_map(|line| {
        let (hierarchy, path) = line.split_once(':')?;
        let path = path.split_once(':')?.1;
        (path.len() > 1).then_some((hierarchy == "0", path))
    });
    below_root.max_by_key(|(is_unified, path)| (*is_unified, path.len())).map(|(_, path)| path.into())
}

fn of_path(path: &str) -> Option<Box<str>> {
    let parts: Vec<&str> = path.split('/').filter(|p| !p.is_empty()).collect();
    let pod = parts.iter().find_map(|part| pod(part));
    for (n, part) in parts.iter().enumerate().rev() {
        let name = part.strip_suffix(".scope").unwrap_or(part);
        if let Some(name) = name.strip_prefix("lxc.payload.").filter(|name| !name.is_empty()) {
            return Some(format!("lxc {name}").into());
        }
        let before = n.checked_sub(1).map_or("", |n| parts[n]);
        if before == "lxc" {
            return Some(format!("lxc {name}").into());
        }
        let Some(id) = id(name) else { continue };
        if let Some(pod) = &pod {
            return Some(format!("pod {pod} {id}").into());
        }
        let runtime = runtime(name, before);
        return Some(format!("{runtime} {id}").into());
    }
    pod.map(|pod| format!("pod {pod}").into())
}

/// `libpod-<id>`, `docker-<id>`, `cri-containerd-<id>`, `crio-<id>`, or the id alone.
fn id(name: &str) -> Option<&str> {
    let id = name.rsplit(['-', ':']).next()?;
    let is_id = id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit());
    is_id.then(|| &id[..12])
}

fn runtime(name: &str, parent: &str) -> &'static str {
    let has = |text: &str| name.starts_with(text) || parent.starts_with(text);
    match () {
        () if has("libpod") => "podman",
        () if has("cri-containerd") || has("containerd") || has("nerdctl") => "containerd",
        () if has("crio") => "cri-o",
        () if has("docker") => "docker",
        () => "container",
    }
}

/// `pod01234567-89ab-...` or `kubepods-besteffort-pod01234567_89ab_....slice`: the UUID's first part.
fn pod(part: &str) -> Option<String> {
    let part = part.strip_suffix(".slice").unwrap_or(part);
    let uuid = match part.strip_prefix("pod") {
        Some(uuid) => uuid,
        None if part.starts_with("kubepods") => part.rsplit_once("-pod")?.1,
        None => return None,
    };
    let dashes = uuid.bytes().filter(|b| matches!(b, b'-' | b'_')).count();
    let is_uuid = uuid.len() >= 32 && uuid.bytes().all(|b| b.is_ascii_hexdigit() || matches!(b, b'-' | b'_'));
    (is_uuid && (dashes == 4 || dashes == 0)).then(|| uuid[..8].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_group_is_that_of_the_unified_hierarchy() {
        for (paths, want) in [
            ("0::/system.slice/nginx.service\n", Some("/system.slice/nginx.service")),
            ("12:pids:/a/long/way\n1:name=systemd:/b\n0::/user.slice\n", Some("/user.slice")),
            ("12:pids:/a/b:c\n1:name=systemd:/b\n0::/\n", Some("/a/b:c")),
            ("0::/\n", None),
            ("", None),
            ("x", None),
        ] {
            assert_eq!(group(paths).as_deref(), want, "{paths}");
        }
    }

    const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn runtimes_are_told_by_their_paths() {
        for (path, want) in [
            ("0::/user.slice/user-1000.slice/session-2.scope".to_owned(), None),
            ("0::/system.slice/nginx.service".to_owned(), None),
            (format!("0::/system.slice/docker-{ID}.scope"), Some("docker 0123456789ab")),
            (format!("12:pids:/docker/{ID}\n0::/"), Some("docker 0123456789ab")),
            (
                format!(
                    "0::/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-{ID}.scope/container"
                ),
                Some("podman 0123456789ab"),
            ),
            (
                format!(
                    "0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1b4e28ba_2fa1_11d2_883f_0016d3cca427.slice/cri-containerd-{ID}.scope"
                ),
                Some("pod 1b4e28ba 0123456789ab"),
            ),
            (
                format!("3:cpu:/kubepods/burstable/pod1b4e28ba-2fa1-11d2-883f-0016d3cca427/{ID}"),
                Some("pod 1b4e28ba 0123456789ab"),
            ),
            ("0::/lxc.payload.web/system.slice/cron.service".to_owned(), Some("lxc web")),
            ("9:cpu:/lxc/web/init.scope".to_owned(), Some("lxc web")),
            (format!("0::/machine.slice/crio-{ID}.scope"), Some("cri-o 0123456789ab")),
            (format!("0::/default/{ID}"), Some("container 0123456789ab")),
            (String::new(), None),
        ] {
            assert_eq!(container(&path).as_deref(), want, "{path}");
        }
    }
}
