//! The processor's time that a thread, and the whole process, has had so far.

#[cfg(all(feature = "cpu", any(target_os = "linux", target_os = "android")))]
mod kernel {
    use rustix::time::{ClockId, Timespec, clock_gettime};
    use std::time::Duration;

    pub(crate) const IS_THERE: bool = true;

    pub(crate) fn thread() -> Duration {
        duration(clock_gettime(ClockId::ThreadCPUTime))
    }

    pub(crate) fn process() -> Duration {
        duration(clock_gettime(ClockId::ProcessCPUTime))
    }

    /// Neither is ever negative.
    fn duration(time: Timespec) -> Duration {
        let nanoseconds = u32::try_from(time.tv_nsec).unwrap_or(0);
        Duration::new(time.tv_sec.cast_unsigned(), nanoseconds)
    }
}

#[cfg(not(all(feature = "cpu", any(target_os = "linux", target_os = "android"))))]
mod kernel {
    use std::time::Duration;

    pub(crate) const IS_THERE: bool = false;

    pub(crate) fn thread() -> Duration {
        Duration::ZERO
    }

    pub(crate) fn process() -> Duration {
        Duration::ZERO
    }
}

pub(crate) use kernel::{IS_THERE, process, thread};
