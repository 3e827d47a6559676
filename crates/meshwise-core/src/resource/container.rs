//! The id of the container that the process runs in.

use super::machine::Machine;

/// Finds the container's id: from the cgroup's path (version 1, or a shared cgroup namespace), or
/// else from where the container's own files are mounted from (version 2).
pub(super) fn id(machine: &Machine) -> Option<String> {
    let cgroup = machine.read("/proc/self/cgroup");
    cgroup.as_deref().and_then(from_cgroup).map(str::to_owned).or_else(|| {
        machine.read("/proc/self/mountinfo").as_deref().and_then(from_mountinfo).map(str::to_owned)
    })
}

/// Looks for an id in the last segment of a `hierarchy:controllers:path` line.
fn from_cgroup(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        let path = line.splitn(3, ':').nth(2)?;
        let last = path.rsplit('/').find(|segment| !segment.is_empty())?;
        bare_id(last)
    })
}

/// Takes an id out of `<id>`, `docker-<id>.scope`, `cri-containerd:<id>` and the like.
fn bare_id(segment: &str) -> Option<&str> {
    let segment = segment.strip_suffix(".scope").unwrap_or(segment);
    let segment = segment.rsplit_once(':').map_or(segment, |(_, id)| id);
    if is_id(segment) {
        return Some(segment);
    }
    let (_, tail) = segment.split_once('-')?;
    // `cri-containerd-<id>` has two words in front.
    if is_id(tail) {
        Some(tail)
    } else {
        tail.split_once('-').map(|(_, id)| id).filter(|id| is_id(id))
    }
}

/// Looks for the source of `/etc/hostname`, `/etc/hosts` or `/etc/resolv.conf`: runtimes keep them
/// in a folder named after the container.
fn from_mountinfo(text: &str) -> Option<&str> {
    text.lines().find_map(|line| {
        // id, parent, device, root of the mount within its file system, mount point, ...
        let mut fields = line.split(' ').skip(3);
        let (root, mount_point) = (fields.next()?, fields.next()?);
        let tells = matches!(mount_point, "/etc/hostname" | "/etc/hosts" | "/etc/resolv.conf");
        // containerd's pods share these files: the folder is the sandbox's, another container.
        if !tells || root.contains("/sandboxes/") {
            return None;
        }
        root.split('/').rev().find(|segment| is_id(segment))
    })
}

/// Tells whether it is an id of Docker, Podman, containerd or CRI-O (64 hexadecimal digits), of
/// Fargate (32, a dash, and a number), or of Garden (groups of 8, 4, 4, 4 and 4).
fn is_id(text: &str) -> bool {
    let hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match text.len() {
        64 => hex(text),
        28 => {
            let mut groups = text.split('-');
            [8, 4, 4, 4, 4].iter().all(|n| groups.next().is_some_and(|g| g.len() == *n && hex(g)))
                && groups.next().is_none()
        }
        34..=43 => text.split_once('-').is_some_and(|(task, number)| {
            task.len() == 32 && hex(task) && number.bytes().all(|b| b.is_ascii_digit())
        }),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "dc579f8a8319c8cf7d38e1adf263bc08d23b1749a7a6c5f1f5d9a3f0e3c1b2a4";
    const FARGATE: &str = "cd49bd1f1f4e4a3fbb2a7c6a8e8b4d11-1234567890";
    const GARDEN: &str = "6f845c73-10ea-4c6a-5af2-3b5c";

    #[test]
    fn ids_are_found_in_cgroups_of_all_runtimes() {
        for (path, wanted) in [
            (format!("/docker/{ID}"), ID),
            (format!("/system.slice/docker-{ID}.scope"), ID),
            (format!("/kubepods/besteffort/podb1c2/{ID}"), ID),
            (format!("/kubepods.slice/kubepods-pod1.slice/cri-containerd-{ID}.scope"), ID),
            (format!("/kubepods.slice/kubepods-pod1.slice/crio-{ID}.scope"), ID),
            (
                format!("/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:{ID}"),
                ID,
            ),
            (format!("/machine.slice/libpod-{ID}.scope/"), ID),
            (format!("/ecs/cd49bd1f1f4e4a3fbb2a7c6a8e8b4d11/{FARGATE}"), FARGATE),
            (format!("/garden/{GARDEN}"), GARDEN),
        ] {
            let text = format!("13:name=systemd:/init.scope\n12:pids:{path}\n");
            assert_eq!(from_cgroup(&text), Some(wanted), "{path}");
        }
    }

    #[test]
    fn a_host_has_no_id() {
        for text in [
            "0::/\n",
            "0::/user.slice/user-1000.slice/session-2.scope\n",
            "0::/system.slice/ssh.service",
            "12:pids:/docker/DC579F8A8319C8CF\n",
            "garbage",
            "",
        ] {
            assert_eq!(from_cgroup(text), None, "{text}");
        }
    }

    #[test]
    fn with_cgroups_version_2_the_mounts_tell() {
        let docker = format!(
            "984 961 0:46 / / rw,relatime master:1 - overlay overlay rw,lowerdir=/x/{}\n\
             990 984 254:1 /docker/containers/{ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda1 rw\n\
             991 984 254:1 /docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda1 rw\n",
            "e".repeat(64)
        );
        assert_eq!(from_mountinfo(&docker), Some(ID));
        let podman = format!(
            "1 2 0:23 /containers/storage/overlay-containers/{ID}/userdata/hostname /etc/hostname rw - tmpfs tmpfs rw\n"
        );
        assert_eq!(from_mountinfo(&podman), Some(ID));
    }

    #[test]
    fn a_pod_s_sandbox_is_not_taken_for_the_container() {
        let text = format!(
            "1 2 8:1 /var/lib/containerd/io.containerd.grpc.v1.cri/sandboxes/{ID}/hostname /etc/hostname rw - ext4 /dev/sda1 rw\n"
        );
        assert_eq!(from_mountinfo(&text), None);
        assert_eq!(from_mountinfo("36 35 98:0 / /etc/hosts rw - ext4 /dev/root rw"), None);
        assert_eq!(from_mountinfo("short line"), None);
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_without_harm(text in "(\\PC|[-/:. \n]|[0-9a-f]{64}){0,40}") {
            let found = [from_cgroup(&text), from_mountinfo(&text)];
            proptest::prop_assert!(found.into_iter().flatten().all(is_id));
        }
    }

    #[test]
    fn the_cgroup_beats_the_mounts() {
        let machine = Machine::fake([
            (
                "/proc/self/cgroup",
                "1:cpu:/docker/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            ),
            (
                "/proc/self/mountinfo",
                "1 2 8:1 /c/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/hosts /etc/hosts rw",
            ),
        ]);
        assert_eq!(id(&machine), Some("a".repeat(64)));
        let mounts_only = Machine::fake([
            ("/proc/self/cgroup", "0::/"),
            (
                "/proc/self/mountinfo",
                "1 2 8:1 /c/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb/hosts /etc/hosts rw",
            ),
        ]);
        assert_eq!(id(&mounts_only), Some("b".repeat(64)));
        assert_eq!(id(&Machine::fake([])), None);
    }
}
