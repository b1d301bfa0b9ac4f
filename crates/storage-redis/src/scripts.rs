//! What runs inside Redis, because it has to look and write in one step.
//!
//! The bodies are sent with every call (`EVAL`): they are shorter than most records, and a digest
//! (`EVALSHA`) would cost a second round trip after every restart and failover. Each looks before it
//! writes, so Redis complains of a value that is no string, and a command that comes late or twice
//! finds another version and destroys nothing. Publishing comes last and may fail (`pcall`): the record is written by then.

use redis::Cmd;

/// Writes if the version that is there is the expected one, else answers with what is there.
///
/// A command may come twice, and this knows what it has written already: it answers 1 for this
/// attempt and 2 for the earlier one, so that who waits for replicas waits for that, too.
///
/// `ARGV`: `1` if a version is expected, that version, the new value, how many milliseconds it has
/// left or nothing, the channel or nothing, the message, the version of the earlier attempt or
/// nothing.
pub(crate) const COMPARE_AND_SET: &str = concat!(
    "local found = redis.call('GET', KEYS[1])\n",
    "local version = found and string.sub(found, 1, 47)\n",
    "if version == string.sub(ARGV[3], 1, 47) then return 1 end\n",
    "if ARGV[7] ~= '' and version == ARGV[7] then return 2 end\n",
    "if version ~= (ARGV[1] == '1' and ARGV[2]) then return found end\n",
    "if ARGV[4] == '' then redis.call('SET', KEYS[1], ARGV[3])\n",
    "else redis.call('SET', KEYS[1], ARGV[3], 'PX', ARGV[4]) end\n",
    "if ARGV[5] ~= '' then redis.pcall('PUBLISH', ARGV[5], ARGV[6]) end\n",
    "return 1",
);

/// Removes what is there if its version is the expected one, else answers with what is there.
///
/// Where nothing is there it deletes all the same, so that a replica refuses: it may be behind.
///
/// `ARGV`: that version or nothing, the channel or nothing.
pub(crate) const COMPARE_AND_DELETE: &str = concat!(
    "local found = redis.call('GET', KEYS[1])\n",
    "if found and string.sub(found, 1, 47) ~= ARGV[1] then return found end\n",
    "redis.call('DEL', KEYS[1])\n",
    "if found and ARGV[2] ~= '' then redis.pcall('PUBLISH', ARGV[2], '') end\n",
    "return 1",
);

/// Takes a lease that is free, and shows in the same step that the record can be replaced: it writes
/// what is there once more, with the command that the next write needs. A user who may not run that,
/// a replica, a server that is full: each is an error before a refresh token is spent, and the lease
/// is not taken.
///
/// Answers with the owner if there is one, which is the asker after a repeated command.
///
/// `KEYS`: the record, the lease. `ARGV`: the owner, milliseconds.
pub(crate) const LEASE: &str = concat!(
    "local holder = redis.call('GET', KEYS[2])\n",
    "if holder then return holder end\n",
    "local found = redis.call('GET', KEYS[1])\n",
    "if found then redis.call('SET', KEYS[1], found, 'KEEPTTL')\n",
    "else redis.call('SET', KEYS[1], '', 'PX', 60000) redis.call('DEL', KEYS[1]) end\n",
    "redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])\n",
    "return false",
);

/// Starts the time of a lease anew if it is still the owner's. `ARGV`: the owner, milliseconds.
pub(crate) const RENEW: &str = concat!(
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n",
    "return redis.call('PEXPIRE', KEYS[1], ARGV[2])",
);

/// Ends a lease if it is still the owner's. `ARGV`: the owner.
pub(crate) const RELEASE: &str = concat!(
    "if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end\n",
    "return redis.call('DEL', KEYS[1])",
);

/// A call of a script on one key; what it is to be told comes after.
pub(crate) fn run(script: &str, key: &str) -> Cmd {
    run_on(script, &[key])
}

/// A call of a script on keys that share a hash tag.
pub(crate) fn run_on(script: &str, keys: &[&str]) -> Cmd {
    let mut eval = redis::cmd("EVAL");
    eval.arg(script).arg(keys.len()).arg(keys);
    eval
}
