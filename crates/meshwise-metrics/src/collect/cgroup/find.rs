//! Finding the folders of this process's control groups.

use super::{read, usage::Usage};
use std::path::{Component, Path, PathBuf};

/// Knows where the control group of each controller is; they may be of different versions.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Cgroup {
    cpu: Option<Folder>,
    memory: Option<Folder>,
}

/// A control group's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Folder {
    pub(super) version: Version,
    /// Where the hierarchy begins: further up nothing is to be seen.
    pub(super) top: PathBuf,
    pub(super) path: PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2,
}

impl Cgroup {
    /// Looks into `/proc/self`, the folder that is given.
    pub(crate) fn find(own: &Path) -> Self {
        let text = |name| crate::collect::read(&own.join(name)).unwrap_or_default();
        Self::parse(&text("cgroup"), &text("mountinfo"))
    }

    /// Puts together what `/proc/<pid>/cgroup` and `/proc/<pid>/mountinfo` say.
    fn parse(cgroup: &str, mountinfo: &str) -> Self {
        let mounts: Vec<Mount> = mountinfo.lines().filter_map(Mount::parse).collect();
        let folder =
            |controller: &str| v1(cgroup, &mounts, controller).or_else(|| v2(cgroup, &mounts));
        Self { cpu: folder("cpu"), memory: folder("memory") }
    }

    pub(super) fn usage(&self) -> Usage {
        let mut usage = Usage::default();
        if let Some(folder) = &self.cpu {
            read::cpu(folder, &mut usage);
        }
        if let Some(folder) = &self.memory {
            read::memory(folder, &mut usage);
        }
        usage
    }
}

fn v1(cgroup: &str, mounts: &[Mount], controller: &str) -> Option<Folder> {
    let has = |list: &str| list.split(',').any(|name| name == controller);
    let path = lines(cgroup).find_map(|(names, path)| has(names).then_some(path))?;
    let mount = mounts.iter().find(|mount| mount.kind == "cgroup" && has(&mount.options))?;
    Some(mount.folder(Version::V1, path))
}

fn v2(cgroup: &str, mounts: &[Mount]) -> Option<Folder> {
    let path = lines(cgroup).find_map(|(names, path)| names.is_empty().then_some(path))?;
    let mount = mounts.iter().find(|mount| mount.kind == "cgroup2")?;
    Some(mount.folder(Version::V2, path))
}

/// Splits the lines `id:controllers:path`.
fn lines(cgroup: &str) -> impl Iterator<Item = (&str, &str)> {
    cgroup.lines().filter_map(|line| {
        let (_, rest) = line.split_once(':')?;
        rest.split_once(':')
    })
}

/// A line of `/proc/<pid>/mountinfo`.
#[derive(Debug)]
struct Mount {
    /// What of the file system is mounted.
    root: PathBuf,
    point: PathBuf,
    kind: String,
    options: String,
}

impl Mount {
    fn parse(line: &str) -> Option<Self> {
        // id parent major:minor root point options optional... - kind source super-options
        let (left, right) = line.split_once(" - ")?;
        let mut left = left.split(' ').skip(3);
        let (root, point) = (unescape(left.next()?), unescape(left.next()?));
        let mut right = right.split(' ');
        let (kind, options) = (right.next()?, right.nth(1)?);
        if !kind.starts_with("cgroup") {
            return None;
        }
        Some(Self {
            root: root.into(),
            point: point.into(),
            kind: kind.to_owned(),
            options: options.to_owned(),
        })
    }

    fn folder(&self, version: Version, path: &str) -> Folder {
        let below = Path::new(path).strip_prefix(&self.root).ok();
        // A container may see only its own group, mounted under a path that it cannot know
        // (`/../..` with a cgroup namespace): then the mount is the group.
        let known = below
            .filter(|below| below.components().all(|part| matches!(part, Component::Normal(_))));
        let path = known.map_or_else(|| self.point.clone(), |below| self.point.join(below));
        Folder { version, top: self.point.clone(), path }
    }
}

/// Turns `\040` and the like back into the characters they stand for.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let code = part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok());
        match code {
            Some(code) if code.is_ascii() => {
                out.push(char::from(code));
                out.push_str(&part[3..]);
            }
            _ => {
                out.push('\\');
                out.push_str(part);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(version: Version, top: &str, path: &str) -> Option<Folder> {
        Some(Folder { version, top: top.into(), path: path.into() })
    }

    #[test]
    fn version_2_under_a_login() {
        let found = Cgroup::parse(
            "0::/user.slice/user-1000.slice/session-3.scope\n",
            "24 30 0:22 / /proc rw,nosuid - proc proc rw\n\
             35 24 0:30 / /sys/fs/cgroup rw,nosuid shared:9 - cgroup2 cgroup2 rw,nsdelegate\n",
        );
        let top = "/sys/fs/cgroup";
        let path = "/sys/fs/cgroup/user.slice/user-1000.slice/session-3.scope";
        assert_eq!(found.cpu, folder(Version::V2, top, path));
        assert_eq!(found.memory, found.cpu);
    }

    #[test]
    fn version_2_in_a_container_with_a_namespace() {
        let mounts = "1 2 0:30 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        let top = folder(Version::V2, "/sys/fs/cgroup", "/sys/fs/cgroup");
        assert_eq!(Cgroup::parse("0::/\n", mounts).memory, top);
        assert_eq!(Cgroup::parse("0::/../../other\n", mounts).memory, top);
    }

    #[test]
    fn version_2_in_a_container_without_a_namespace() {
        let pod = "/kubepods.slice/pod1/cri-abc.scope";
        let mounts = format!("1 2 0:30 {pod} /sys/fs/cgroup ro - cgroup2 cgroup rw\n");
        let top = folder(Version::V2, "/sys/fs/cgroup", "/sys/fs/cgroup");
        assert_eq!(Cgroup::parse(&format!("0::{pod}\n"), &mounts).cpu, top);
        assert_eq!(Cgroup::parse("0::/elsewhere\n", &mounts).cpu, top);
    }

    #[test]
    fn version_1_with_controllers_together_and_apart() {
        let found = Cgroup::parse(
            "12:memory:/docker/abc\n4:cpu,cpuacct:/docker/abc\n1:name=systemd:/\n",
            "1 0 0:1 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro master:3 - cgroup c rw,cpu,cpuacct\n\
             2 0 0:2 /docker/abc /sys/fs/cgroup/memory ro master:4 - cgroup c rw,memory\n",
        );
        let top = "/sys/fs/cgroup/cpu,cpuacct";
        assert_eq!(found.cpu, folder(Version::V1, top, top));
        let top = "/sys/fs/cgroup/memory";
        assert_eq!(found.memory, folder(Version::V1, top, top));
    }

    #[test]
    fn a_hybrid_takes_each_controller_from_where_it_is() {
        let found = Cgroup::parse(
            "3:cpuset:/\n2:memory:/app\n0::/app\n",
            "1 0 0:1 / /sys/fs/cgroup/memory rw - cgroup c rw,memory\n\
             2 0 0:2 / /sys/fs/cgroup/unified rw - cgroup2 c rw\n",
        );
        let unified = "/sys/fs/cgroup/unified";
        assert_eq!(found.cpu, folder(Version::V2, unified, "/sys/fs/cgroup/unified/app"));
        let memory = "/sys/fs/cgroup/memory";
        assert_eq!(found.memory, folder(Version::V1, memory, "/sys/fs/cgroup/memory/app"));
    }

    #[test]
    fn mounts_elsewhere_and_odd_texts() {
        let mounts = "1 2 0:30 / /mnt/my\\040groups rw - cgroup2 c rw\n";
        let folder = Cgroup::parse("0::/a", mounts).cpu.unwrap();
        assert_eq!(folder.path, Path::new("/mnt/my groups/a"));
        for (cgroup, mounts) in
            [("", ""), ("0::/", ""), ("", mounts), ("0:", "1 2 3 - cgroup2"), (":::", " - ")]
        {
            assert_eq!(Cgroup::parse(cgroup, mounts), Cgroup::default(), "{cgroup} {mounts}");
        }
        assert_eq!(unescape("a\\04é\\9\\"), "a\\04é\\9\\");
    }
}
