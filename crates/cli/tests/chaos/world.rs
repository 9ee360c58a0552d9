//! What a run consists of: a folder with rules and configuration, a small disk for the store, the
//! service, its receivers, and the record of what happened.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::http::Client;
use crate::receiver::Receiver;
use crate::sender::Ledger;
use crate::service::Service;

pub(crate) const SENDER_TOKEN: &str = "chaos-sender-token";
pub(crate) const OPERATOR_TOKEN: &str = "chaos-operator-token";

/// Webhook targets. `brittle` makes one attempt, so its failures become dead letters.
pub(crate) const TARGETS: [&str; 3] = ["steady", "other", "brittle"];

/// Size of the disk of the store: the reserve file of 16 MiB is created where 64 MiB are free.
const DISK_MIB: u32 = 256;

/// All parts of a run; shared by its threads.
pub(crate) struct World {
    folder: PathBuf,
    pub(crate) service: Service,
    pub(crate) receivers: BTreeMap<&'static str, Receiver>,
    pub(crate) ledger: Ledger,
    pub(crate) control: Option<Control>,
    pub(crate) disk: Option<SmallDisk>,
    /// True when the run is to end.
    stop: AtomicBool,
    failures: Mutex<Vec<String>>,
    started: Instant,
}

/// The file that moves the service's clock and makes its writes fail, see `libchaos.c`.
pub(crate) struct Control(File);

/// A small file system for the store, mounted in a namespace that a process of its own holds.
pub(crate) struct SmallDisk {
    holder: Child,
    /// The disk as processes outside of the namespace reach it.
    pub(crate) root: PathBuf,
}

const RULE: &str = r#"when = 'content.result == "failed"'
then = '''
let key = event.content.eniId;
let n = add(key, 1);
// Its life is longer than a run, and shorter than the jumps of the clock.
let before = get(`before ${key}`);
set(`before ${key}`, n, "2h");
let body = #{
    key: key, number: parse_int(event.content.requestId), n: n, before: before,
};
send("steady", body);
send("other", body);
send("brittle", body);
'''
"#;
const FRAGILE: &str = r#"when = 'content.result == "poison"'
then = 'throw "poison";'
"#;

impl World {
    /// Prepares the folder and starts receivers and the service.
    pub(crate) fn start(folder: &Path) -> Self {
        std::fs::create_dir(folder.join("rules")).unwrap();
        std::fs::create_dir(folder.join("disk")).unwrap();
        link_program(&folder.join("reflexarc"));
        let receivers: BTreeMap<_, _> = TARGETS
            .into_iter()
            .map(|name| (name, Receiver::start()))
            .collect();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let disk = SmallDisk::mount(&folder.join("disk"));
        let control = Control::create(folder);
        let service = Service::new(folder, port, disk.as_ref(), control.is_some());
        let world = Self {
            folder: folder.to_owned(),
            service,
            receivers,
            ledger: Ledger::default(),
            control,
            disk,
            stop: AtomicBool::new(false),
            failures: Mutex::default(),
            started: Instant::now(),
        };
        world.write_rules();
        world.write_config();
        world.service.start();
        world
    }

    pub(crate) fn write_rules(&self) {
        self.write("rules/numbered.toml", RULE);
        self.write("rules/fragile.toml", FRAGILE);
    }

    pub(crate) fn write_config(&self) {
        let mut config = format!(
            "log = \"warn\"\nshutdown_timeout = \"5s\"\n\
             [store]\npath = \"disk/reflexarc.db\"\n\
             [http]\nlisten = \"127.0.0.1:{}\"\n\
             [[http.tokens]]\nname = \"sender\"\nroles = [\"ingest\"]\n\
             token = {{ env = \"SENDER_TOKEN\" }}\n\
             [[http.tokens]]\nname = \"operator\"\nroles = [\"read\", \"operate\"]\n\
             token = {{ env = \"OPERATOR_TOKEN\" }}\n\
             [limits]\nqueue_bytes = 16_777_216\nconnections = 200\n\
             head = \"5s\"\nbody = \"5s\"\nwrite = \"5s\"\n",
            self.service.port
        );
        for (name, receiver) in &self.receivers {
            // Order is kept for longer than any fault lasts, and than the clock jumps unsuspected:
            // 40 minutes ahead end a shorter wait behind a failing delivery. Retries outlast every
            // fault too, so that only `brittle` has dead letters. Its single attempt is spared by
            // the circuit breaker as long as that is open.
            let retry = if *name == "brittle" {
                "[]".to_owned()
            } else {
                format!("[{}]", vec!["\"1s\""; 600].join(", "))
            };
            config += &format!(
                "[targets.{name}]\ntype = \"webhook\"\nurl = \"http://127.0.0.1:{}/\"\n\
                 allow = [\"127.0.0.0/8\"]\ntimeout = \"1s\"\norder_wait = \"24h\"\n\
                 retry = {retry}\n\
                 breaker = {{ failures = 5, pause = \"1s\", max_pause = \"2s\" }}\n",
                receiver.port
            );
        }
        self.write("reflexarc.toml", &config);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// A file on the disk of the store, as this process reaches it.
    pub(crate) fn on_disk(&self, name: &str) -> PathBuf {
        let root = self.disk.as_ref().map(|disk| disk.root.clone());
        root.unwrap_or_else(|| self.path("disk")).join(name)
    }

    pub(crate) fn sender(&self) -> Client {
        Client {
            port: self.service.port,
            token: SENDER_TOKEN,
        }
    }

    pub(crate) fn operator(&self) -> Client {
        Client {
            port: self.service.port,
            token: OPERATOR_TOKEN,
        }
    }

    /// Records what must not happen; the run ends with it.
    pub(crate) fn fail(&self, message: impl Into<String>) {
        let message = format!("{:>7.1} s: {}", self.seconds(), message.into());
        self.failures.lock().unwrap().push(message);
    }

    pub(crate) fn failures(&self) -> Vec<String> {
        self.failures.lock().unwrap().clone()
    }

    /// Since the start of the run.
    pub(crate) fn seconds(&self) -> f64 {
        self.started.elapsed().as_secs_f64()
    }

    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Keeps the program as it is now: a build beside a long run replaces it.
pub(crate) fn link_program(to: &Path) {
    let program = env!("CARGO_BIN_EXE_reflexarc");
    let linked = std::fs::hard_link(program, to).is_ok();
    // In another process, because no descriptor of this one may be open for writing when a copy is
    // started.
    let copied = linked || {
        let copy = Command::new("cp").arg(program).arg(to).status();
        copy.is_ok_and(|status| status.success())
    };
    assert!(copied, "cannot copy {program}");
}

impl Control {
    /// `None` where there is no C compiler, or the program is not linked dynamically.
    pub(crate) fn create(folder: &Path) -> Option<Self> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/chaos/libchaos.c");
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(folder.join("libchaos.so"))
            .arg(source)
            .status();
        if !cfg!(target_os = "linux") || !compiled.is_ok_and(|status| status.success()) {
            return None;
        }
        let path = folder.join("control");
        std::fs::write(&path, [0; 16]).unwrap();
        let file = File::options().write(true).open(path).unwrap();
        Some(Self(file))
    }

    /// Moves the wall clock of the service by so many seconds.
    pub(crate) fn set_clock_offset(&self, seconds: i64) {
        self.0.write_all_at(&seconds.to_ne_bytes(), 0).unwrap();
    }

    /// Makes every write of the store fail with this errno; 0 ends it.
    pub(crate) fn set_write_error(&self, errno: i64) {
        self.0.write_all_at(&errno.to_ne_bytes(), 8).unwrap();
    }
}

impl SmallDisk {
    /// `None` where a user may not mount, not even in a namespace of its own.
    fn mount(folder: &Path) -> Option<Self> {
        let script = format!(
            "mount -t tmpfs -o size={DISK_MIB}m chaos {0} && touch {0}/mounted && \
             exec sleep 1000000",
            folder.display()
        );
        let mut holder = Command::new("unshare")
            .args(["-rm", "sh", "-c", &script])
            .stdin(Stdio::null())
            .spawn()
            .ok()?;
        let root = PathBuf::from(format!("/proc/{}/root{}", holder.id(), folder.display()));
        for _ in 0..200 {
            if root.join("mounted").exists() {
                return Some(Self { holder, root });
            }
            if holder.try_wait().ok()?.is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(holder.kill());
        drop(holder.wait());
        None
    }

    /// What enters the namespace with the disk.
    pub(crate) fn enter(&self) -> Vec<String> {
        let target = self.holder.id().to_string();
        ["nsenter", "--preserve-credentials", "-U", "-m", "-t"]
            .map(str::to_owned)
            .into_iter()
            .chain([target])
            .collect()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        drop(self.holder.kill());
        drop(self.holder.wait());
    }
}
