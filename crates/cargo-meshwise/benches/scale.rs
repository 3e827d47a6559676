//! How the command fares with 2,000 services and 10,000 requirements.
//!
//! ```text
//! cargo bench -p cargo-meshwise --bench scale            # the table, and an error for a missed goal
//! cargo bench -p cargo-meshwise --bench scale -- --test  # a small one, to see that it works
//! ```
//!
//! Two kinds of lines: what the library takes once a dictionary is in memory (CPU time of this
//! process, the mean of many runs), and what the real command takes from start to end, reading the
//! folder included: the wall clock as one who waits sees it, CPU time, which other work on the
//! machine changes less and so is what has a goal, and the peak of resident memory.

use std::{
    error::Error,
    fs,
    hint::black_box,
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use meshwise_api::{Check, Date, Declaration, Dictionary, Document, Draft, Lock};
use rustix::time::{ClockId, clock_gettime};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// What a dictionary of the bench has.
#[derive(Clone, Copy)]
struct Size {
    services: usize,
    /// Requirements of each service.
    requires: usize,
    /// Documents of each service.
    documents: usize,
}

const TODAY: &str = "2026-11-21";
const CHECKED: &str = "s7";

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    // `cargo bench` passes --bench; `cargo test --benches` does not.
    let quick = args.iter().any(|arg| arg == "--test") || !args.iter().any(|arg| arg == "--bench");
    let size = |services, documents| Size { services, requires: 5, documents };
    let sizes = if quick { vec![size(40, 2)] } else { vec![size(2_000, 1), size(2_000, 5)] };
    let mut missed = Vec::new();
    for size in sizes {
        bench(size, quick, &mut missed)?;
    }
    if quick || missed.is_empty() {
        return Ok(());
    }
    Err(format!("missed: {}", missed.join(", ")).into())
}

fn bench(size: Size, quick: bool, missed: &mut Vec<String>) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let text = write_dictionary(folder.path(), size)?;
    println!(
        "\n{} services, {} requirements, {} documents",
        size.services,
        size.services * size.requires,
        size.services * size.documents
    );
    println!("{:<34}{:>12}{:>12}  ", "", "time", "goal");

    let today: Date = TODAY.parse()?;
    let dictionary = load(folder.path(), size)?;
    assert_eq!(dictionary.len(), size.services);

    let declaration = Declaration::parse("api.toml", &text)?;
    let runs = if quick { 2 } else { 20 };
    let second = Some(Duration::from_secs(1));
    let lock = resolve(&declaration, &dictionary, today);
    line(
        "check of one service (CPU)",
        cpu(runs, || {
            black_box(
                Check::new(&declaration, today)
                    .with_lock(Some(&lock))
                    .with_dictionary(Some(&dictionary))
                    .run(),
            );
        })?,
        Some(Duration::from_millis(50)),
        missed,
    );
    line(
        "lock of one service (CPU)",
        cpu(runs, || {
            black_box(resolve(&declaration, &dictionary, today));
        })?,
        second,
        missed,
    );
    line(
        "who-uses of every API (CPU)",
        cpu(runs, || {
            for api in dictionary.apis() {
                black_box(dictionary.who_uses(api, None, today));
            }
        })?,
        second,
        missed,
    );

    for args in
        [&["check"][..], &["lock", "--update"], &["graph", "--format", "json"], &["who-uses", "s1"]]
    {
        let ran = command(folder.path(), args, if quick { 1 } else { 3 })?;
        line(&format!("cargo meshwise {} (wall)", args[0]), ran.wall, None, missed);
        if let (Some(cpu), Some(kib)) = (ran.cpu, ran.peak) {
            line("  all of it (CPU)", cpu, second, missed);
            println!("{:<34}{:>8} MiB", "  peak of resident memory", kib / 1024);
        }
    }
    Ok(())
}

fn line(name: &str, took: Duration, goal: Option<Duration>, missed: &mut Vec<String>) {
    let millis = |duration: Duration| format!("{:.2} ms", duration.as_secs_f64() * 1e3);
    let verdict = match goal {
        Some(goal) if took > goal => {
            missed.push(name.to_owned());
            "MISSED"
        }
        Some(_) => "ok",
        None => "",
    };
    println!(
        "{name:<34}{:>12}{:>12}  {verdict}",
        millis(took),
        goal.map(millis).unwrap_or_default()
    );
}

/// Returns the mean CPU time of a run, all threads together.
fn cpu(runs: u32, mut run: impl FnMut()) -> Result<Duration> {
    let now = || -> Result<Duration> {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        Ok(Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?))
    };
    run();
    let start = now()?;
    for _ in 0..runs {
        run();
    }
    Ok((now()? - start) / runs)
}

/// What a run of the real command took; of several runs the least of each.
struct Ran {
    wall: Duration,
    /// User and system time together.
    cpu: Option<Duration>,
    /// Peak of resident memory in KiB.
    peak: Option<u64>,
}

/// Runs the real command, under GNU time where that is there to tell.
fn command(folder: &Path, args: &[&str], runs: u32) -> Result<Ran> {
    let gnu_time = Path::new("/usr/bin/time").exists();
    let mut least = Ran { wall: Duration::MAX, cpu: None, peak: None };
    for _ in 0..runs {
        let exe = env!("CARGO_BIN_EXE_cargo-meshwise");
        let mut command = if gnu_time {
            let mut command = Command::new("/usr/bin/time");
            command.args(["-f", "%U %S %M", exe]);
            command
        } else {
            Command::new(exe)
        };
        command
            .args(args)
            .env("MESHWISE_TODAY", TODAY)
            .env("MESHWISE_DICTIONARY", "dictionary")
            .current_dir(folder)
            .stdout(Stdio::null());
        let start = Instant::now();
        let output = command.output()?;
        least.wall = least.wall.min(start.elapsed());
        let stderr = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            return Err(format!("{args:?}: {}: {stderr}", output.status).into());
        }
        let told: Vec<f64> = stderr
            .lines()
            .last()
            .map(|line| line.split(' ').filter_map(|word| word.parse().ok()).collect())
            .unwrap_or_default();
        if let [user, system, kib] = told[..] {
            let cpu = Duration::from_secs_f64(user + system);
            least.cpu = Some(least.cpu.map_or(cpu, |least| least.min(cpu)));
            least.peak = Some(least.peak.map_or(kib as u64, |least| least.min(kib as u64)));
        }
    }
    Ok(least)
}

fn resolve(declaration: &Declaration, dictionary: &Dictionary, today: Date) -> Lock {
    Lock::resolve(declaration, dictionary, None, "dictionary", today.into())
}

/// Reads the newest documents, as the command does.
fn load(folder: &Path, size: Size) -> Result<Dictionary> {
    let mut heads = Vec::with_capacity(size.services);
    for service in 0..size.services {
        let path = format!("dictionary/services/s{service}/{}.json", size.documents);
        heads.push(Document::from_json(&fs::read(folder.join(path))?)?);
    }
    Ok(Dictionary::from_heads(heads))
}

/// Writes the dictionary, and the declaration of one service as api.toml, whose text it returns.
fn write_dictionary(folder: &Path, size: Size) -> Result<String> {
    for service in 0..size.services {
        let mut parent = None;
        let path = folder.join(format!("dictionary/services/s{service}"));
        fs::create_dir_all(&path)?;
        for seq in 1..=size.documents {
            let text = declaration(service, seq, size);
            let declaration = Declaration::parse("api.toml", &text)?;
            let draft = Draft::new(declaration, "2026-01-01T08:00:00Z".parse()?, "bench");
            let document = draft.seal(parent.as_ref())?;
            fs::write(path.join(format!("{seq}.json")), document.to_json())?;
            parent = Some(document);
        }
    }
    let checked = CHECKED.trim_start_matches('s').parse()?;
    let text = declaration(checked, size.documents, size);
    fs::write(folder.join("api.toml"), &text)?;
    Ok(text)
}

fn declaration(service: usize, seq: usize, size: Size) -> String {
    let mut text = format!(
        "schema = 1\n[service]\nname = \"s{service}\"\nowner = \"team-{}\"\n\
         contacts = [\"mailto:team-{0}@example.com\"]\n\n[[provides]]\napi = \"s{service}\"\n\
         scheme = \"main-minor\"\ndescription = \"openapi-{seq}.json\"\n",
        service % 50
    );
    for (version, dates) in [
        (
            "1.0",
            "released = 2020-01-01\ndeprecated = 2021-01-01\nsunset = 2022-01-01\nsuccessor = \"1.1\"",
        ),
        (
            "1.1",
            "released = 2021-01-01\ndeprecated = 2026-06-01\nsunset = 2027-06-01\nsuccessor = \"2.0\"",
        ),
        ("2.0", "released = 2026-01-01"),
        ("2.1", "released = 2027-01-01"),
    ] {
        text += &format!("\n[[provides.versions]]\nversion = \"{version}\"\n{dates}\n");
    }
    for index in 0..size.requires {
        // A fixed spread, with a few APIs that many need.
        let target =
            if index == 0 { service % 10 } else { (service * 31 + index * 977) % size.services };
        let version = if (service + index).is_multiple_of(4) { "1.1" } else { "2.0" };
        text += &format!(
            "\n[[requires]]\napi = \"s{target}\"\nversion = \"{version}\"\nreason = \"call {index}\"\nsince = 2024-01-01\n"
        );
    }
    text
}
