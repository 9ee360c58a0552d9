//! Events and figures for the measurements.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::{Duration, Instant};

/// An ENI operation as ECS reports it, about 600 bytes; one in eight failed. There are 5,000 ENIs.
pub(crate) fn event(number: usize) -> String {
    let result = if number.is_multiple_of(8) {
        "failed"
    } else {
        "success"
    };
    let content = format!(
        concat!(
            r#"{{"eniId":"eni-{eni:06}","operation":"AttachNetworkInterface","#,
            r#""eniStatus":"InUse","result":"{result}","#,
            r#""requestId":"59701492-A8F2-3375-B0B9-{number:012}","#,
            r#""primaryPrivateIp":"192.168.1.20","#,
            r#""secondaryPrivateIps":["192.168.1.21","192.168.1.22"],"#,
            r#""ipv4Prefixes":["192.168.2.0/28"]}}"#,
        ),
        eni = number % 5_000,
        result = result,
        number = number
    );
    format!(
        concat!(
            r#"{{"id":"2256A988-0B26-4E2B-820A-{number:012}","product":"ECS","#,
            r#""resourceId":"acs:ecs:cn-hangzhou:169070:eni/eni-{eni:06}","level":"INFO","#,
            r#""name":"NetworkInterface:NetworkInterfaceOperateCompleted","userId":"169070","#,
            r#""eventTime":"20190409T121826.922+0800","regionId":"cn-hangzhou","#,
            r#""content":{content}}}"#,
        ),
        number = number,
        eni = number % 5_000,
        content = content
    )
}

/// Durations of 500 appends of 4 KiB with a sync, the shortest first.
pub(crate) fn sync_costs(folder: &Path) -> Vec<Duration> {
    let path = folder.join("sync-probe");
    let mut file = File::create(&path).unwrap();
    let mut costs: Vec<Duration> = (0..500)
        .map(|_| {
            let started = Instant::now();
            file.write_all(&[0; 4_096]).unwrap();
            file.sync_data().unwrap();
            started.elapsed()
        })
        .collect();
    std::fs::remove_file(path).unwrap();
    costs.sort();
    costs
}

/// The 50th, 95th and 99th percentile and the maximum of sorted durations.
pub(crate) fn percentiles(sorted: &[Duration]) -> String {
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let [half, most, nearly, worst] = [0.5, 0.95, 0.99, 1.0].map(at);
    format!("p50 {half:.2?}, p95 {most:.2?}, p99 {nearly:.2?}, worst {worst:.2?}")
}

/// The processor time of each thread of this process that has used some, by name, most first.
pub(crate) fn thread_times() -> Vec<(String, Duration)> {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten();
    let mut times = std::collections::BTreeMap::<String, Duration>::new();
    for thread in threads.flatten() {
        let text = std::fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The name is in parentheses and may have spaces; user and system time are the 14th and
        // 15th field, in hundredths of a second.
        let Some((name, rest)) = text
            .split_once('(')
            .and_then(|(_, rest)| rest.rsplit_once(')'))
        else {
            continue;
        };
        let fields = rest.split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
        *times.entry(name.to_owned()).or_default() += Duration::from_millis(10 * ticks);
    }
    let mut times: Vec<_> = times
        .into_iter()
        .filter(|(_, time)| !time.is_zero())
        .collect();
    times.sort_by_key(|(_, time)| std::cmp::Reverse(*time));
    times
}

/// Resident memory of this process in MiB: now (`VmRSS:`) or the most that it was (`VmHWM:`).
pub(crate) fn memory(line: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status
        .lines()
        .find(|found| found.starts_with(line))
        .unwrap_or_default()
        .to_owned();
    line.split_whitespace()
        .nth(1)
        .and_then(|kib| kib.parse::<f64>().ok())
        .unwrap_or_default()
        / 1_024.0
}
