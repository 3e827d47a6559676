//! Writing to a destination, so that it gets whole lines whatever it does.

use std::{
    io::{self, Write},
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

/// How long a destination that takes nothing just now is left alone, first and at most.
const FIRST_NAP: Duration = Duration::from_millis(1);
const LAST_NAP: Duration = Duration::from_millis(50);

pub(super) enum Destination {
    Stdout,
    Stderr,
    Other(Box<dyn Write + Send>),
}

/// Holds a destination, and remembers whether it is in the middle of a line.
pub(super) struct Sink {
    destination: Destination,
    torn: bool,
}

impl Sink {
    pub(super) fn new(destination: Destination) -> Self {
        Self { destination, torn: false }
    }

    pub(super) const fn is_stderr(&self) -> bool {
        matches!(self.destination, Destination::Stderr)
    }

    /// Writes lines. A destination that is not blocking (`O_NONBLOCK`, as some parents leave their
    /// children's standard output) and takes nothing is asked again until `gives_up`, as one that
    /// blocks would be waited for; the rest follows at the byte where it stopped.
    ///
    /// # Errors
    /// That of the destination, and how many bytes it accepted before. If that is no whole line, the
    /// next begins on a line of its own.
    pub(super) fn write(
        &mut self,
        lines: &[u8],
        gives_up: &dyn Fn() -> bool,
    ) -> Result<(), (usize, io::Error)> {
        let torn = self.torn;
        let mut written = 0;
        let result = catch_unwind(AssertUnwindSafe(|| {
            let mut all = |out: &mut dyn Write| {
                if torn {
                    push(out, b"\n", &mut 0, gives_up)?;
                }
                push(out, lines, &mut written, gives_up)?;
                patiently(gives_up, || out.flush())
            };
            // Locked for as long as it takes: nothing else gets between the parts of a line.
            match &mut self.destination {
                Destination::Stdout => all(&mut io::stdout().lock()),
                Destination::Stderr => all(&mut io::stderr().lock()),
                Destination::Other(writer) => all(writer),
            }
        }));
        let result = result.unwrap_or_else(|_| Err(io::Error::other("the writer panicked")));
        if let Some(last) = written.checked_sub(1) {
            self.torn = lines[last] != b'\n';
        }
        result.map_err(|error| (written, error))
    }
}

/// Writes all bytes, and counts those that are written.
fn push(
    out: &mut dyn Write,
    bytes: &[u8],
    written: &mut usize,
    gives_up: &dyn Fn() -> bool,
) -> io::Result<()> {
    while *written < bytes.len() {
        match patiently(gives_up, || out.write(&bytes[*written..]))? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            // (A writer that claims more than it was given is wrong.)
            more => *written = (*written + more).min(bytes.len()),
        }
    }
    Ok(())
}

/// Does it again for as long as it is interrupted or would block.
fn patiently<T>(
    gives_up: &dyn Fn() -> bool,
    mut attempt: impl FnMut() -> io::Result<T>,
) -> io::Result<T> {
    let mut nap = FIRST_NAP;
    loop {
        match attempt() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && !gives_up() => {
                thread::sleep(nap);
                nap = (2 * nap).min(LAST_NAP);
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{Arc, Mutex};

    /// Takes so many bytes at a time, and says in between what it is told to say.
    #[derive(Clone)]
    struct Reluctant {
        kept: Arc<Mutex<Vec<u8>>>,
        at_once: usize,
        answers: Arc<Mutex<Vec<io::ErrorKind>>>,
    }

    impl Write for Reluctant {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if let Some(kind) = self.answers.lock().expect("not poisoned").pop() {
                // `Other` stands for "takes some".
                if kind != io::ErrorKind::Other {
                    return Err(kind.into());
                }
            }
            let taken = bytes.len().min(self.at_once);
            self.kept.lock().expect("not poisoned").extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn sink(at_once: usize, mut answers: Vec<io::ErrorKind>) -> (Sink, Arc<Mutex<Vec<u8>>>) {
        answers.reverse();
        let kept = Arc::default();
        let answers = Arc::new(Mutex::new(answers));
        let writer = Reluctant { kept: Arc::clone(&kept), at_once, answers };
        (Sink::new(Destination::Other(Box::new(writer))), kept)
    }

    #[test]
    fn what_would_block_is_tried_again_where_it_stopped() {
        use io::ErrorKind::{Interrupted, Other, WouldBlock};
        let (mut sink, kept) = sink(4, vec![WouldBlock, Other, WouldBlock, Interrupted, Other]);
        sink.write(b"one\ntwo\nthree\n", &|| false).expect("all");
        assert_eq!(*kept.lock().expect("not poisoned"), b"one\ntwo\nthree\n");
    }

    #[test]
    fn after_a_torn_line_the_next_has_one_of_its_own() {
        use io::ErrorKind::{Other, StorageFull, WouldBlock};
        let (mut sink, kept) = sink(6, vec![Other, StorageFull, Other, Other, WouldBlock]);
        let (written, error) = sink.write(b"one\ntwo\n", &|| false).expect_err("full");
        assert_eq!((written, error.kind()), (6, StorageFull));
        sink.write(b"three\n", &|| false).expect("all");
        let (written, error) = sink.write(b"four\n", &|| true).expect_err("given up");
        assert_eq!((written, error.kind()), (0, WouldBlock));
        sink.write(b"five\n", &|| false).expect("all");
        assert_eq!(*kept.lock().expect("not poisoned"), b"one\ntw\nthree\nfive\n");
    }
}
