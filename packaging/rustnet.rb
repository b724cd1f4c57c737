# Homebrew formula, for a tap: brew install --HEAD ./packaging/rustnet.rb
class Rustnet < Formula
  desc "Shows every connection of a host in a terminal, with exact totals"
  homepage "https://github.com/rustnet/rustnet"
  license "Apache-2.0"
  head "https://github.com/rustnet/rustnet.git", branch: "main"

  depends_on "rust" => :build

  on_linux do
    depends_on "pkgconf" => :build
    depends_on "elfutils"
    depends_on "zlib"
  end

  def install
    features = OS.linux? ? [] : ["--no-default-features"]
    system "cargo", "install", *features, *std_cargo_args
    generate_completions_from_executable(bin/"rustnet", "--completions", shells: [:bash, :zsh, :fish])
    (buildpath/"rustnet.1").write Utils.safe_popen_read(bin/"rustnet", "--man")
    man1.install "rustnet.1"
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/rustnet --version")
    assert_match "core", shell_output("#{bin}/rustnet --show-plan")
  end
end
