//! All kinds of faults.

mod clients;
mod operators;
mod process;
mod receivers;
mod store;

use std::time::Duration;

use crate::fault::Fault;
use crate::random::Random;
use crate::world::World;

/// A random fault; `None` where this machine cannot make the kind that was drawn.
pub(crate) fn draw(world: &World, random: &mut Random) -> Option<Fault> {
    let kinds: [fn(&World, &mut Random) -> Option<Fault>; 20] = [
        process::killed,
        process::terminated,
        process::frozen,
        process::clock_jump,
        store::disk_full,
        store::writes_fail,
        store::moved_away,
        receivers::fails,
        receivers::fails,
        receivers::fails,
        receivers::slow,
        clients::idle,
        clients::unread,
        clients::stalled_bodies,
        clients::wrong_tokens,
        operators::reload,
        operators::broken_files,
        operators::pause,
        operators::backup,
        operators::poison,
    ];
    random.choose(&kinds)(world, random)
}

/// What of the list this machine cannot make.
pub(crate) fn left_out(world: &World) -> Vec<&'static str> {
    let mut left_out = Vec::new();
    if world.disk.is_none() {
        left_out.push("a full disk: no tmpfs can be mounted");
    }
    if world.control.is_none() {
        left_out.push("clock jumps and failing writes: no C compiler");
    }
    left_out
}

fn seconds(random: &mut Random, least: u64, most: u64) -> Duration {
    random.between(Duration::from_secs(least), Duration::from_secs(most))
}
