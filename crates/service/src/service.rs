//! Building a service from its parts and running it over HTTP.
//!
//! [`ServiceBuilder`] takes what a service is made of: a configuration, the compiled rules and an
//! open store. It starts the same pipeline for `serve` (below) and for a [`Feed`](crate::Feed)
//! (`feed.rs`), which has no HTTP server and no reload:
//!
//! ```text
//! Config + RuleSet + Store ─ ServiceBuilder ─┬─ serve: Pipeline + HTTP server + reload + pruning
//!                                            └─ feed:  Pipeline
//! Pipeline = StoreLock + Intake (evaluation workers) + Queues (one for each target) + LiveConfig
//! ```

use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use reflexarc::RuleSet;
use reflexarc_delivery::config::TargetConfig;
use tokio::net::TcpListener;
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinHandle;

use crate::clock::ServiceClock;
use crate::config::{Config, ConfigSource};
use crate::deadlines::Deadlines;
use crate::descriptors;
use crate::dispatch::{Queues, TargetGates, Wake, dead_letters};
use crate::handle::ServiceHandle;
use crate::heartbeat::{HeartbeatSender, HeartbeatStatus, Progress};
use crate::http::{
    AppState, CONSOLE_CONNECTIONS, EXTRA_CONNECTIONS, MAX_LIST_RESPONSES, Peers, RefusalLog,
    WorkThreads, console_router, listen, router,
};
use crate::intake::{Intake, IntakeParts};
use crate::limits::Limits;
use crate::live::LiveBroadcast;
use crate::live_config::{LiveConfig, LiveSettings};
use crate::maintenance::{Maintenance, resume};
use crate::nodes::{NodeWatch, Nodes, node_name, setup_of_targets, watch_nodes};
use crate::operate::{
    Jobs, ProblemSources, RetentionProgress, check_clock, check_regularly, check_store,
    end_interrupted,
};
use crate::reload::{Reloader, watch};
use crate::shutdown::stopped;
use crate::silences::{Releases, SilencePatterns, WithholdingChanges, release_regularly};
use crate::sources::{source_statuses, start_sources};
use crate::store::{NodeSetup, Store, StoreError, StoreLock};
use crate::store_health::{StoreHealth, watch_store};
use crate::store_location::StoreLocation;
use crate::telemetry::{Collector, ExporterHandle, Metrics, Redactor, Telemetry};
use crate::timeline::{ServiceTimeline, TimelineParts, answer_regularly, fire_regularly};

/// How long spans that are waiting may take to be exported at the end.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);

/// The parts of a service, before it runs.
pub struct ServiceBuilder {
    pub(crate) config: Config,
    rules: RuleSet,
    store: Arc<dyn Store>,
    console: Option<(TcpListener, ConsoleRouter)>,
}

/// Makes the pages of the console, for a service that runs.
pub type ConsoleRouter = Box<dyn FnOnce(ServiceHandle) -> Router + Send>;

/// A running pipeline: from an event to its deliveries.
pub(crate) struct Pipeline {
    pub(crate) intake: Intake,
    pub(crate) queues: Arc<Queues>,
    pub(crate) wake: Wake,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) live: Arc<LiveConfig>,
    pub(crate) broadcast: LiveBroadcast,
    pub(crate) limits: Limits,
    pub(crate) redactor: Redactor,
    pub(crate) source: Option<ConfigSource>,
    pub(crate) rule_paths: Vec<PathBuf>,
    pub(crate) shutdown_timeout: Duration,
    pub(crate) clock: ServiceClock,
    pub(crate) timeline: ServiceTimeline,
    /// Notified when calls were withdrawn.
    pub(crate) withdrawn: Arc<Notify>,
    /// Notified when a silence was added or ended.
    pub(crate) withholding_changed: Arc<Notify>,
    pub(crate) withholding_changes: WithholdingChanges,
    /// True once what an earlier process left has been taken over.
    pub(crate) resumed: watch::Receiver<bool>,
    pub(crate) nodes: Nodes,
    pub(crate) lock: StoreLock,
}

impl ServiceBuilder {
    /// A service of these parts.
    pub fn new(config: Config, rules: RuleSet, store: Arc<dyn Store>) -> Self {
        Self {
            config,
            rules,
            store,
            console: None,
        }
    }

    /// With a console on a listener of its own, under the same limits as the API.
    #[must_use]
    pub fn with_console(mut self, listener: TcpListener, router: ConsoleRouter) -> Self {
        self.console = Some((listener, router));
        self
    }

    /// Serves HTTP on `listener`, evaluates and delivers until `stop` becomes true. Then shuts down
    /// in order: no new requests, open requests finish, running sends finish. Everything else stays
    /// in the outbox.
    ///
    /// # Errors
    /// If the store fails at the start.
    // Boxed, as otherwise the caller's crate would compile the whole server again.
    pub fn serve(
        self,
        listener: TcpListener,
        stop: watch::Receiver<bool>,
    ) -> Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>> {
        Box::pin(self.serve_until(listener, stop))
    }

    #[expect(
        clippy::too_many_lines,
        reason = "the parts start and end in this order"
    )]
    async fn serve_until(
        mut self,
        listener: TcpListener,
        stop: watch::Receiver<bool>,
    ) -> Result<(), StoreError> {
        descriptors::raise_limit();
        let sends = self.config.queues.iter().map(|queue| queue.concurrency);
        let configured = self.config.limits.connections;
        let extra = match &self.console {
            Some(_) => EXTRA_CONNECTIONS + CONSOLE_CONNECTIONS + EXTRA_CONNECTIONS,
            None => EXTRA_CONNECTIONS,
        };
        let connections = descriptors::connection_limit(configured, sends.sum(), extra);
        let metrics = Arc::new(Metrics::new());
        let collector = self.config.collector.take();
        let console = self.console.take();
        let sources = std::mem::take(&mut self.config.sources);
        let console_hosts = std::mem::take(&mut self.config.console_hosts);
        let (telemetry, exporter) = start_telemetry(collector, &metrics)?;
        // On a thread that may block, because preparing the store waits for commits.
        let (pipeline_metrics, pipeline_telemetry) = (metrics.clone(), telemetry.clone());
        let pipeline = blocking(move || {
            let pipeline = self.start_pipeline(pipeline_metrics, &pipeline_telemetry, true)?;
            // Before the first event, and before any deadline: the rules may be others now.
            let timeline = &pipeline.timeline;
            pipeline.store.set_timeline(Arc::new(timeline.clone()));
            timeline.begin()?;
            timeline.withdraw_calls_of_other_rules();
            end_interrupted(&*pipeline.store, &pipeline.nodes, pipeline.clock.now())?;
            Ok(pipeline)
        })
        .await?;
        let few_connections = (connections < configured).then(|| {
            format!(
                "{connections} connections instead of {configured}: the limit of open files is too \
                 low"
            )
        });
        let health = Arc::new(StoreHealth::new(metrics.problems.clone()));
        let heartbeat = Arc::new(HeartbeatStatus::default());
        let observed = (&health, heartbeat.clone());
        let background = start_background(&pipeline, &metrics, observed, few_connections, &stop);
        let Pipeline {
            intake,
            queues,
            wake,
            store,
            live,
            broadcast,
            limits,
            redactor,
            source,
            rule_paths,
            shutdown_timeout,
            clock,
            timeline,
            withdrawn: _,
            withholding_changed,
            withholding_changes: _,
            resumed: _,
            nodes,
            lock: _lock,
        } = pipeline;
        let reloader = Arc::new(Reloader::new(
            source,
            rule_paths,
            live.clone(),
            timeline.clone(),
            queues.clone(),
            redactor.clone(),
            metrics.clone(),
        ));
        // Before the first request is answered: a client that has seen the service ready may send
        // SIGHUP at once, and without a handler that ends the process.
        let watching = watch(reloader.clone(), stop.clone())
            .map_err(|error| StoreError::Failed(format!("cannot handle SIGHUP: {error}")))?;
        // At the same time as the HTTP server stops: an event that is accepted while it does is in
        // the outbox and needs no queue.
        let stopping = tokio::spawn(stop_queues(queues.clone(), stop.clone()));

        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let problems = metrics.problems.clone();
        let work_threads = WorkThreads::start(processors)
            .map_err(|error| StoreError::Failed(format!("cannot start a thread: {error}")))?;
        let jobs = Jobs::new();
        let state = Arc::new(AppState {
            intake,
            clock: clock.clone(),
            store,
            health,
            heartbeat,
            live: live.clone(),
            broadcast,
            metrics,
            limits: limits.clone(),
            telemetry,
            refusals: RefusalLog::default(),
            peers: Arc::new(Peers::new(&limits)),
            large_work: Arc::new(Semaphore::new(processors)),
            work_threads,
            list_responses: Arc::new(Semaphore::new(MAX_LIST_RESPONSES)),
            gates: queues.gates().clone(),
            sources: source_statuses(&sources),
            nodes,
            wake,
            reloader,
            timeline,
            withholding_changed,
            jobs: jobs.clone(),
            redactor,
            stop: stop.clone(),
        });
        let address = listener.local_addr().map(|address| address.to_string());
        tracing::info!(address = address.unwrap_or_default(), "ready");
        let sources = start_sources(&state, sources, shutdown_timeout, &stop);
        let console = async {
            let Some((listener, pages)) = console else {
                return;
            };
            let address = listener.local_addr().map(|address| address.to_string());
            tracing::info!(address = address.unwrap_or_default(), "console ready");
            let pages = pages(ServiceHandle::new(state.clone()));
            let pages = console_router(pages, state.clone(), console_hosts);
            let limits = (connections.min(CONSOLE_CONNECTIONS), &limits);
            let problems = problems.clone();
            let stop = stop.clone();
            listen(
                listener,
                &live,
                pages,
                limits,
                problems,
                stop,
                shutdown_timeout,
            )
            .await;
        };
        let api = router(state.clone());
        let api = listen(
            listener,
            &live,
            api,
            (connections, &limits),
            problems.clone(),
            stop.clone(),
            shutdown_timeout,
        );
        tokio::join!(api, console);
        // They have stopped taking messages at the same time, and wait for commits only.
        for source in sources {
            drop(source.await);
        }
        drop(state);

        // Cannot fail; by now `stop` is true.
        drop(stopping.await);
        let ended = tokio::time::timeout(shutdown_timeout, queues.ended()).await;
        if ended.is_err() {
            tracing::warn!(
                "sends did not finish within shutdown_timeout; they will be repeated under the \
                 same ids"
            );
        }
        // They end at their next step; their records say how far they came.
        drop(tokio::time::timeout(shutdown_timeout, jobs.ended()).await);
        // After the queues, so that the spans of the last attempts are exported too.
        if let Some(exporter) = exporter {
            exporter.finish(EXPORT_TIMEOUT).await;
        }
        clock.record();
        // These tasks have nothing to finish: a reload or a pruning step that runs is on a thread
        // of its own.
        watching.abort();
        for task in background {
            task.abort();
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// Starts the pipeline. Nothing in it takes longer if the store is larger. Blocks; must be
    /// called within a tokio runtime, but not from async code.
    /// `serves_calls`: whether calls are sent, whose answers run rules.
    pub(crate) fn start_pipeline(
        self,
        metrics: Arc<Metrics>,
        telemetry: &Telemetry,
        serves_calls: bool,
    ) -> Result<Pipeline, StoreError> {
        let Self {
            config,
            rules,
            store,
            console: _,
        } = self;
        let lock = store.lock_exclusive()?;
        let nodes = join_nodes(&*store, &config, serves_calls.then_some(&rules))?;
        let wake = Wake::new(names(&config.queues), nodes.clone());
        // Before the first delivery can become a dead letter.
        store.observe_dead_letters(dead_letters::observer(metrics.clone()));
        let withdrawn = Arc::new(Notify::new());
        let observer = withdrawn.clone();
        store.observe_withdrawn_calls(Arc::new(move || observer.notify_one()));
        let problems = metrics.problems.clone();
        // Before anything is written or compared with what an earlier process has written.
        let record = clock_record(&config);
        let newest = store.newest_event()?;
        let clock = ServiceClock::open(record, newest, nodes.offset());
        clock.record();
        check_clock(&clock, &metrics);
        let gates = TargetGates::default();
        gates.restore(store.paused_targets()?);
        gates.restore_change_stops(store.change_stops()?, &metrics);
        let (sender, resumed) = watch::channel(false);
        config.budgets.warn_unknown_rules(&rules);
        let live = LiveConfig::new(
            rules,
            LiveSettings {
                tokens: config.tokens,
                eventbridge: config.eventbridge,
                access: config.access,
                tls_identity: config.tls_identity,
                heartbeat: config.heartbeat,
                retention: config.retention,
                budgets: config.budgets,
            },
        );
        // Evaluation is bound by the processor, so one worker for each is as many as can run.
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let deadlines = Arc::new(Deadlines::default());
        let broadcast = LiveBroadcast::default();
        let shared = IntakeParts {
            problems: problems.clone(),
            clock: clock.clone(),
            deadlines: deadlines.clone(),
            broadcast: broadcast.clone(),
        };
        let intake = Intake::start(&store, &live, workers, &config.limits, telemetry, shared)?;
        let parts = TimelineParts {
            rules: live.rules.clone(),
            failures: intake.failures().clone(),
            metrics: metrics.clone(),
            clock: clock.clone(),
            wake: wake.clone(),
            store: Arc::downgrade(&store),
            broadcast: broadcast.clone(),
            nodes: nodes.clone(),
        };
        let looked = clock.recorded_before().max(newest);
        let timeline = ServiceTimeline::new(parts, deadlines, looked);
        // Before the first claim. A reload that replaces the rules replaces their labels too.
        let patterns = SilencePatterns::new(live.rules.clone());
        store.set_withholding(Arc::new(patterns));
        let withholding_changes = WithholdingChanges::default();
        let queues = Queues::start(
            config.queues,
            wake.clone(),
            store.clone(),
            metrics,
            resumed.clone(),
            clock.clone(),
            config.redactor.clone(),
            telemetry.clone(),
            gates,
            config.limits.delivery_bytes,
            withholding_changes.clone(),
            nodes.clone(),
            broadcast.clone(),
            serves_calls.then(|| timeline.clone()),
        );
        // Only with the lock and before the queues claim: it releases every claim there is. Beside
        // the intake, because it looks at all that is pending.
        let resuming = resume(store.clone(), wake.clone(), clock.clone(), problems, sender);
        drop(tokio::spawn(resuming));
        Ok(Pipeline {
            intake,
            queues: Arc::new(queues),
            wake,
            store,
            live: Arc::new(live),
            broadcast,
            limits: config.limits,
            redactor: config.redactor,
            source: config.source,
            rule_paths: config.rule_paths,
            shutdown_timeout: config.shutdown_timeout,
            clock,
            timeline,
            withdrawn,
            withholding_changed: Arc::default(),
            withholding_changes,
            resumed,
            nodes,
            lock,
        })
    }
}

/// Makes this process a node of its store. A command has no rules that others wait for.
fn join_nodes(
    store: &dyn Store,
    config: &Config,
    rules: Option<&RuleSet>,
) -> Result<Nodes, StoreError> {
    let targets: Vec<_> = names(&config.queues).collect();
    let setup = NodeSetup {
        rules: rules.map(RuleSet::hash).unwrap_or_default(),
        targets: setup_of_targets(&targets),
    };
    Nodes::join(store, node_name(config.listen), setup)
}

/// The names of the targets of queues.
fn names(queues: &[TargetConfig]) -> impl Iterator<Item = String> {
    queues.iter().map(|queue| queue.name.clone())
}

impl Pipeline {
    /// What the task of this node needs; `timeline` if it is that of a service.
    pub(crate) fn node_watch(
        &self,
        metrics: &Arc<Metrics>,
        timeline: Option<ServiceTimeline>,
    ) -> NodeWatch {
        NodeWatch {
            nodes: self.nodes.clone(),
            store: self.store.clone(),
            clock: self.clock.clone(),
            wake: self.wake.clone(),
            gates: self.queues.gates().clone(),
            timeline,
            metrics: metrics.clone(),
            resumed: self.resumed.clone(),
        }
    }
}

/// Starts exporting traces, if they have a collector.
fn start_telemetry(
    collector: Option<Collector>,
    metrics: &Metrics,
) -> Result<(Telemetry, Option<ExporterHandle>), StoreError> {
    let Some(collector) = collector else {
        return Ok((Telemetry::default(), None));
    };
    let started = Telemetry::start(collector, metrics.spans_dropped.clone());
    let (telemetry, exporter) = started.map_err(|error| StoreError::Failed(error.to_string()))?;
    Ok((telemetry, Some(exporter)))
}

/// Starts what goes on beside requests and deliveries: firing deadlines, removing what is old,
/// looking for problems, probing the store, looking for damage in it and the heartbeat. None of it has anything to
/// finish at the end.
fn start_background(
    pipeline: &Pipeline,
    metrics: &Arc<Metrics>,
    (health, heartbeat): (&Arc<StoreHealth>, Arc<HeartbeatStatus>),
    few_connections: Option<String>,
    stop: &watch::Receiver<bool>,
) -> [JoinHandle<()>; 9] {
    let store = || pipeline.store.clone();
    let progress = Arc::new(RetentionProgress::new());
    let maintenance = Maintenance {
        store: store(),
        live: pipeline.live.clone(),
        wake: pipeline.wake.clone(),
        clock: pipeline.clock.clone(),
        progress: progress.clone(),
        metrics: metrics.clone(),
        nodes: pipeline.nodes.clone(),
    };
    let node = pipeline.node_watch(metrics, Some(pipeline.timeline.clone()));
    let sources = ProblemSources {
        store: store(),
        live: pipeline.live.clone(),
        metrics: metrics.clone(),
        clock: pipeline.clock.clone(),
        gates: pipeline.queues.gates().clone(),
        failures: pipeline.intake.failures().clone(),
        retention: progress,
        resumed: pipeline.resumed.clone(),
        few_connections,
    };
    let beat = HeartbeatSender {
        live: pipeline.live.clone(),
        progress: Progress {
            store: health.clone(),
            timeline: pipeline.timeline.clone(),
            queues: pipeline.queues.clone(),
        },
        status: heartbeat,
        metrics: metrics.clone(),
        redactor: pipeline.redactor.clone(),
    };
    let damage = check_store(
        store(),
        health.clone(),
        metrics.clone(),
        pipeline.nodes.clone(),
        stop.clone(),
    );
    let answers = answer_regularly(
        pipeline.timeline.clone(),
        pipeline.withdrawn.clone(),
        stop.clone(),
    );
    let releases = Releases {
        store: store(),
        wake: pipeline.wake.clone(),
        clock: pipeline.clock.clone(),
        metrics: metrics.clone(),
        changes: pipeline.withholding_changes.clone(),
        changed: pipeline.withholding_changed.clone(),
        resumed: pipeline.resumed.clone(),
    };
    [
        tokio::spawn(watch_nodes(node, stop.clone())),
        tokio::spawn(release_regularly(releases, stop.clone())),
        tokio::spawn(answers),
        tokio::spawn(fire_regularly(pipeline.timeline.clone(), stop.clone())),
        tokio::spawn(maintenance.run(stop.clone())),
        tokio::spawn(check_regularly(sources, stop.clone())),
        tokio::spawn(watch_store(store(), health.clone(), stop.clone())),
        tokio::spawn(damage),
        tokio::spawn(beat.run(stop.clone())),
    ]
}

async fn stop_queues(queues: Arc<Queues>, mut stop: watch::Receiver<bool>) {
    stopped(&mut stop).await;
    queues.stop();
}

pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(StoreError::Failed(error.to_string())))
}

/// Where the time is recorded for the next process: beside the store. There is no such place
/// without a configuration file (tests, embedded use), and a database is of several machines, which have a
/// clock each.
fn clock_record(config: &Config) -> Option<PathBuf> {
    match &config.store {
        StoreLocation::File(path) if config.source.is_some() => {
            let mut record = path.clone().into_os_string();
            record.push(".clock");
            Some(record.into())
        }
        _ => None,
    }
}
