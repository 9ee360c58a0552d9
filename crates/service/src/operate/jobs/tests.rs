use super::*;

#[test]
fn what_runs_stays_in_the_list() {
    let jobs = Jobs::new();
    let status = |id, finished| JobStatus {
        id,
        operation: "drop_matching",
        subject: "all".to_owned(),
        by: "alice".to_owned(),
        started: Timestamp::UNIX_EPOCH,
        finished,
        done: 0,
        failed: 0,
        total: 0,
        message: None,
    };
    jobs.add(status(0, None));
    for id in 1..=150 {
        jobs.add(status(id, Some(Timestamp::UNIX_EPOCH)));
    }
    let ids: Vec<_> = jobs.lock().iter().map(|job| job.id).collect();
    assert_eq!(ids.len(), JobLimits::LIMITS.kept);
    assert_eq!((ids[0], ids[1], ids[99]), (0, 52, 150));
    assert!(jobs.update(0, |job| job.done += 1).is_some());
    assert!(jobs.update(1, |job| job.done += 1).is_none());
}
