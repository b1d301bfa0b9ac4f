//! Makes a life that breaks a rule as short as it can be while it still breaks that rule.

use crate::life::live;
use crate::plan::{Life, Op};

pub fn shrink(life: &Life, rule: &str) -> Life {
    let mut life = life.clone();
    let mut tries = MOST_TRIES;
    let mut breaks = |life: &Life| {
        tries = tries.saturating_sub(1);
        tries > 0 && live(life).violations.iter().any(|violation| violation.rule == rule)
    };
    let mut chunk = life.ops.len().div_ceil(2).max(1);
    loop {
        let mut shorter = false;
        let mut from = 0;
        while from < life.ops.len() {
            let to = (from + chunk).min(life.ops.len());
            let mut without = life.clone();
            without.ops.drain(from..to);
            if breaks(&without) {
                life = without;
                shorter = true;
            } else {
                from = to;
            }
        }
        if chunk == 1 && !shorter {
            break;
        }
        if !shorter || chunk > 1 {
            chunk = (chunk / 2).max(1);
        }
    }
    simplify(&mut life, &mut breaks);
    life
}

fn simplify(life: &mut Life, breaks: &mut impl FnMut(&Life) -> bool) {
    while life.setup.processes > 1 {
        let mut fewer = life.clone();
        fewer.setup.processes -= 1;
        if !breaks(&fewer) {
            break;
        }
        *life = fewer;
    }
    for change in [
        |life: &mut Life| life.setup.map = false,
        |life: &mut Life| life.setup.notices = false,
        |life: &mut Life| life.setup.lies = false,
        |life: &mut Life| life.setup.same_time = false,
        |life: &mut Life| life.setup.life = Some(900_000),
        |life: &mut Life| life.ops.retain(|op| !matches!(op, Op::Turns(_))),
    ] {
        let mut simpler = life.clone();
        change(&mut simpler);
        if breaks(&simpler) {
            *life = simpler;
        }
    }
}

const MOST_TRIES: usize = 600;
