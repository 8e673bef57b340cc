//! The same requests by hand: as many on their way, and one at a time.

use crate::{
    args::{Ask, WatcherArgs},
    error::Failure,
    raw::{Outbox, Raw, garbage},
    report::{BATCH, IN_FLIGHT, ThroughputBegin, ThroughputLine},
    tree,
    value::{Stamp, VALUE_LEN, WARM_UP, now_ns},
    wire::{self, Found},
};
use std::iter::repeat_n;
use zk_proto::OpCode;

const DOING: &str = "ask again and again";

/// What is asked, in bytes.
struct Asked {
    path: Vec<u8>,
    value: [u8; VALUE_LEN],
    ask: Ask,
}

pub(super) fn run(args: &WatcherArgs) -> Result<ThroughputLine, Failure> {
    let mut raw = Raw::connect(&args.connect)?;
    let value = Stamp { sequence: WARM_UP, scheduled_ns: 0 }.value();
    let asked = Asked { path: tree::key(&args.root, 0).into_bytes(), value, ask: args.ask };
    let around_ns = u64::from(args.around_ms) * 1_000_000;
    asked.flood(&mut raw, around_ns)?;
    let begin = ThroughputBegin::now();
    let ops = asked.flood(&mut raw, u64::from(args.secs) * 1_000_000_000)?;
    let flooded = begin.end(ops);
    let ask = match args.ask {
        Ask::Read | Ask::ReadMany => Ask::Read,
        Ask::Write | Ask::WriteMany => Ask::Write,
    };
    Ok(flooded.line(&args.name, Asked { ask, ..asked }.one_at_a_time(&mut raw, around_ns)?))
}

impl Asked {
    /// Operations in a request.
    const fn each(&self) -> usize {
        match self.ask {
            Ask::Read | Ask::Write => 1,
            Ask::ReadMany | Ask::WriteMany => BATCH,
        }
    }

    fn add(&self, outbox: &mut Outbox) {
        let paths = || repeat_n(self.path.as_slice(), BATCH);
        outbox.add(|out, xid| match self.ask {
            Ask::Read => wire::get_data(out, xid, &self.path),
            Ask::ReadMany => wire::read_many(out, xid, OpCode::GET_DATA, paths()),
            Ask::Write => wire::set_data(out, xid, &self.path, &self.value),
            Ask::WriteMany => wire::set_many(out, xid, paths(), &self.value),
        });
    }

    /// Looks at a reply as who wants the values would.
    fn take(&self, body: &[u8]) -> Option<()> {
        match self.ask {
            Ask::Read => wire::data(body).map(drop),
            Ask::ReadMany => {
                let mut values = 0;
                wire::many(body, |found| values += usize::from(matches!(found, Found::Data(..))))?;
                (values == BATCH).then_some(())
            }
            Ask::Write | Ask::WriteMany => Some(()),
        }
    }

    /// Keeps as many on their way as may be; what came together is answered together.
    fn flood(&self, raw: &mut Raw, for_ns: u64) -> Result<u64, Failure> {
        let until = now_ns() + for_ns;
        let mut asked = IN_FLIGHT / self.each();
        (0..asked).for_each(|_| self.add(&mut raw.outbox));
        raw.outbox.flush()?;
        let mut ops = 0;
        while asked > 0 {
            self.take(raw.inbox.reply(DOING)?).ok_or_else(|| garbage(DOING))?;
            ops += self.each() as u64;
            asked -= 1;
            if now_ns() < until {
                self.add(&mut raw.outbox);
                asked += 1;
            }
            if !raw.inbox.has_frame() {
                raw.outbox.flush_if_any()?;
            }
        }
        Ok(ops)
    }

    fn one_at_a_time(&self, raw: &mut Raw, for_ns: u64) -> Result<Vec<u64>, Failure> {
        let until = now_ns() + for_ns;
        let mut latencies = Vec::new();
        loop {
            let begin = now_ns();
            if begin >= until {
                return Ok(latencies);
            }
            self.add(&mut raw.outbox);
            raw.outbox.flush()?;
            self.take(raw.inbox.reply(DOING)?).ok_or_else(|| garbage(DOING))?;
            latencies.push(now_ns() - begin);
        }
    }
}
