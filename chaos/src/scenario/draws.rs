//! What each scenario draws: deeds, their times, and what the cluster and its clients are to be like.

use rand::Rng;
use rand::seq::IndexedRandom;

use super::deed::{Deed, Step, Unreached, Who};
use super::draw::Draw;
use super::plan::Load;
use crate::disk;

pub(super) fn leader_crash(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        // Too short for an election: a leader that is back at once must not act on what it was.
        let down = if number.is_multiple_of(2) {
            draw.between(20, 100)
        } else {
            draw.between(1_000, 2_000)
        };
        draw.then(Deed::Kill(Who::Leader), down);
        draw.peace(700, 1_500);
    });
}

pub(super) fn rolling_kill(draw: &mut Draw) {
    draw.repeat(|draw, _| {
        for offset in 1..draw.shape.nodes {
            let down = draw.between(50, 1_000);
            draw.then(Deed::Kill(Who::Follower { offset }), down);
            draw.peace(300, 900);
        }
        let down = draw.between(50, 1_500);
        draw.then(Deed::Kill(Who::Leader), down);
        draw.peace(500, 1_200);
        let down = draw.between(20, 1_000);
        draw.then(Deed::Kill(Who::AllNodes), down);
        draw.peace(1_200, 2_000);
    });
}

pub(super) fn power_cut(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let who = match number % 3 {
            0 => Who::Leader,
            1 => Who::AllNodes,
            _ => Who::Majority,
        };
        let down = draw.between(50, 800);
        draw.then(Deed::PowerCut(who), down);
        draw.peace(900, 1_600);
    });
}

pub(super) fn leader_isolated(draw: &mut Draw) {
    draw.repeat(|draw, _| {
        let cut = draw.between(1_200, 3_000);
        draw.then(Deed::Isolate(Who::Leader), cut);
        draw.peace(600, 1_200);
    });
}

pub(super) fn one_way(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let cut = draw.between(1_500, 3_000);
        let deed = if number.is_multiple_of(2) {
            Deed::Deaf(Who::Leader)
        } else {
            Deed::Mute(Who::Leader)
        };
        draw.then(deed, cut);
        draw.peace(600, 1_200);
    });
}

pub(super) fn bridge(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let cut = draw.between(1_500, 4_000);
        let who = draw.leader_or_follower();
        let deed = if number % 2 == 1 && draw.shape.nodes > 3 {
            Deed::Ring
        } else {
            Deed::Bridge(who)
        };
        draw.then(deed, cut);
        draw.peace(500, 1_200);
    });
}

pub(super) fn flapping(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let (cut, who) = (draw.between(200, 800), draw.leader_or_follower());
        let deed = match number % 3 {
            0 => Deed::Isolate(who),
            1 => Deed::Reset(who),
            _ => Deed::Unplug(who),
        };
        draw.then(deed, cut);
        draw.peace(100, 700);
    });
}

pub(super) fn weather(draw: &mut Draw) {
    draw.repeat(|draw, _| {
        let span = draw.between(2_500, 5_000);
        let in_order = draw.one_in(3);
        draw.beside(
            Deed::Delay {
                base_ms: 20,
                jitter_ms: 60,
                in_order,
            },
            span,
        );
        draw.beside(Deed::Loss { permille: 20 }, span);
        draw.then(Deed::Duplicate { permille: 50 }, span);
        draw.peace(300, 800);
    });
}

pub(super) fn leader_paused(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let threshold = draw.shape.down_after_ms;
        let pause = if number.is_multiple_of(2) {
            draw.between(threshold * 2, threshold * 2 + 800)
        } else {
            draw.between(500, threshold)
        };
        draw.then(Deed::Pause(Who::Leader), pause);
        draw.peace(1_000, 2_000);
    });
}

pub(super) fn membership(draw: &mut Draw) {
    let pause = draw.between(3_000, 5_000);
    let who = draw.follower();
    draw.beside(Deed::Pause(who), pause);
    draw.peace(500, 1_000);
    draw.beside(Deed::Add, 0);
    draw.peace(1_000, 2_000);
    let gone = draw.follower();
    draw.beside(Deed::Remove(gone), 0);
    draw.now_ms += pause;
    draw.repeat(|draw, _| {
        let who = draw.follower();
        draw.beside(Deed::Lead(who), 0);
        draw.peace(1_500, 2_500);
    });
}

pub(super) fn clocks(draw: &mut Draw) {
    const MINUTE: i64 = 60_000;
    draw.repeat(|draw, number| {
        let offsets = [5 * MINUTE, -5 * MINUTE, -60 * MINUTE, 24 * 60 * MINUTE];
        let offset_ms = *offsets.choose(&mut draw.rng).unwrap_or(&MINUTE);
        let span = draw.between(1_200, 2_500);
        let who = match number % 3 {
            0 => Who::Leader,
            1 => Who::Worker { index: draw.worker() },
            _ => draw.follower(),
        };
        draw.then(Deed::Clock { who, offset_ms }, span);
        draw.peace(300, 800);
    });
}

pub(super) fn bad_disks(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let who = if number.is_multiple_of(2) {
            Who::Leader
        } else {
            draw.follower()
        };
        let slow = disk::Sync::Delay {
            ms: u32::try_from(draw.between(50, 200)).unwrap_or(100),
        };
        let span = draw.between(800, 1_500);
        let kinds = [
            Deed::Sync {
                who: who.clone(),
                how: disk::Sync::Fail,
            },
            Deed::Sync {
                who: who.clone(),
                how: slow,
            },
            Deed::Write {
                who: who.clone(),
                error: disk::WriteFault::NoSpace,
            },
            Deed::DiskFull(who.clone()),
            Deed::Write {
                who: who.clone(),
                error: disk::WriteFault::Io,
            },
            Deed::SlowDisk { who, kib_per_s: 256 },
        ];
        let at = number as usize % kinds.len();
        let [fail, ..] = &kinds;
        let deed = kinds.get(at).unwrap_or(fail).clone();
        draw.then(deed, span);
        draw.peace(500, 1_000);
    });
}

pub(super) fn snapshot(draw: &mut Draw) {
    draw.shape.snapshot_after_entries = 100;
    // One of the others has to keep all of the log.
    draw.shape.forgetful = true;
    let named = |name: &str| Who::Named {
        names: vec![name.to_owned()],
    };
    draw.repeat(|draw, _| {
        // It alone throws away its log.
        draw.then(Deed::Lead(named("n1")), 300);
        let away = draw.between(4_500, 6_000);
        draw.then(Deed::Isolate(named("n3")), away);
        draw.peace(1_500, 2_500);
    });
}

pub(super) fn worker_crash(draw: &mut Draw) {
    // One is away for longer than a worker may be silent, whatever else happens: it must be given up, and in time.
    let away = draw.shape.down_after_ms + 7_500;
    draw.beside(Deed::Kill(Who::Worker { index: 0 }), away);
    draw.peace(300, 600);
    draw.repeat(|draw, _| {
        let (index, down) = (draw.worker(), draw.between(100, 8_000));
        draw.beside(Deed::Kill(Who::Worker { index }), down);
        draw.peace(1_500, 3_000);
        if draw.one_in(3) {
            let (index, span) = (draw.worker(), draw.between(300, 6_000));
            draw.then(Deed::Pause(Who::Worker { index }), span);
        }
    });
    one_at_a_time(&mut draw.steps);
}

pub(super) fn worker_cut(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let (index, span) = (draw.worker(), draw.between(1_000, 7_000));
        let unreached = match number % 3 {
            0 => Unreached::Followers,
            1 => Unreached::Leader,
            _ => Unreached::All,
        };
        draw.beside(Deed::CutWorker { index, unreached }, span);
        draw.peace(1_500, 2_500);
        if draw.one_in(3) {
            draw.then(Deed::Kill(Who::Leader), 500);
        }
    });
}

pub(super) fn drain_race(draw: &mut Draw) {
    draw.load = Load::Drains;
    leader_crash(draw);
}

pub(super) fn capacity_race(draw: &mut Draw) {
    draw.load = Load::Capacity;
    // Two hundred runs of one endpoint, and room for a few.
    draw.shape.capacity = 3;
    leader_crash(draw);
}

pub(super) fn token_race(draw: &mut Draw) {
    draw.load = Load::Tokens;
    draw.repeat(|draw, number| {
        let span = draw.between(800, 2_000);
        let who = draw.leader_or_follower();
        let deed = if number.is_multiple_of(2) {
            Deed::Isolate(who)
        } else {
            Deed::Kill(who)
        };
        draw.then(deed, span);
        draw.peace(400, 1_000);
    });
}

pub(super) fn starved(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let span = draw.between(2_000, 4_000);
        let deed = if number.is_multiple_of(2) {
            Deed::Cpu {
                who: Who::Leader,
                percent: 10,
            }
        } else {
            Deed::Memory {
                who: Who::Leader,
                mib: 1,
            }
        };
        draw.then(deed, span);
        draw.peace(1_000, 2_000);
    });
}

pub(super) fn bit_rot(draw: &mut Draw) {
    draw.repeat(|draw, number| {
        let who = draw.follower();
        let suffix = [".log", ".sst", ""][number as usize % 3].to_owned();
        let (count, seed) = (1 + number % 4, draw.rng.random());
        let span = draw.between(1_500, 2_500);
        draw.then(
            Deed::Flip {
                who,
                suffix,
                count,
                seed,
            },
            span,
        );
        draw.peace(1_000, 1_500);
    });
}

pub(super) fn upgrade(draw: &mut Draw) {
    draw.peace(300, 600);
    draw.then(Deed::Upgrade(Who::AllNodes), 0);
}

/// Draws what is done, and for how long.
type Kind = fn(&mut Draw) -> (Deed, u64);

/// One of each kind in a drawn order, with the weather of the network beside it.
pub(super) fn everything(draw: &mut Draw) {
    let kinds: [Kind; 12] = [
        |draw| (Deed::Kill(draw.leader_or_follower()), draw.between(20, 1_500)),
        |draw| (Deed::PowerCut(draw.leader_or_follower()), draw.between(50, 1_000)),
        |draw| (Deed::Pause(draw.leader_or_follower()), draw.between(300, 4_000)),
        |draw| (Deed::Isolate(draw.leader_or_follower()), draw.between(300, 2_500)),
        |draw| (Deed::Mute(Who::Leader), draw.between(500, 2_000)),
        |draw| (Deed::Reset(draw.leader_or_follower()), draw.between(50, 200)),
        |draw| (Deed::Lead(draw.follower()), 0),
        |draw| {
            let who = draw.leader_or_follower();
            let how = disk::Sync::Delay { ms: 80 };
            (Deed::Sync { who, how }, draw.between(500, 2_000))
        },
        |draw| {
            let who = draw.follower();
            let how = disk::Sync::Fail;
            (Deed::Sync { who, how }, draw.between(500, 1_000))
        },
        |draw| {
            let who = draw.leader_or_follower();
            (
                Deed::Clock {
                    who,
                    offset_ms: 300_000,
                },
                draw.between(500, 2_000),
            )
        },
        |draw| (Deed::Restart(draw.leader_or_follower()), 0),
        |draw| (Deed::PowerCut(Who::AllNodes), draw.between(50, 500)),
    ];
    draw.repeat(|draw, _| {
        let Some(kind) = kinds.choose(&mut draw.rng) else {
            return;
        };
        if draw.one_in(4) {
            let (index, down) = (draw.worker(), draw.between(200, 3_000));
            draw.beside(Deed::Kill(Who::Worker { index }), down);
        }
        if draw.one_in(4) {
            let span = draw.between(1_000, 3_000);
            draw.beside(Deed::Loss { permille: 10 }, span);
        }
        let (deed, span) = kind(draw);
        draw.then(deed, span);
        draw.peace(200, 900);
    });
    one_at_a_time(&mut draw.steps);
}

/// A process to which something is done is not hit again before that is over: the second would have nothing to hit.
fn one_at_a_time(steps: &mut Vec<Step>) {
    let mut kept: Vec<Step> = Vec::new();
    for step in steps.drain(..) {
        let same = |other: &Step| match (worker_of(&other.deed), worker_of(&step.deed)) {
            (Some(one), Some(other)) => one == other,
            (None, Some(_)) | (Some(_), None) => false,
            (None, None) => other.deed.label() == step.deed.label(),
        };
        let overlaps = kept
            .iter()
            .any(|other| same(other) && step.at_ms <= other.end_ms() + 100);
        if !overlaps {
            kept.push(step);
        }
    }
    *steps = kept;
}

pub(super) fn worker_of(deed: &Deed) -> Option<usize> {
    let mut deed = deed.clone();
    match deed.who_mut() {
        Some(Who::Worker { index }) => Some(*index),
        Some(Who::Leader | Who::Follower { .. } | Who::Majority | Who::AllNodes | Who::Named { .. })
        | None => None,
    }
}
