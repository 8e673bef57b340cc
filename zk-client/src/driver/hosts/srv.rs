//! The servers of a DNS service, in the order in which RFC 2782 wants them tried.
//!
//! Knows nothing of the network: records in, hosts out.

use crate::{
    connect_string::{HostPort, SERVERS_MAX},
    dial::SrvRecord,
};

/// Lower priorities come first. Within one, each next server is drawn with a chance in proportion to its weight; one of weight
/// zero is drawn as if it weighed a little, so that it comes first now and then. A record without a host says that the service
/// is not there.
pub(super) fn in_order(mut records: Vec<SrvRecord>, random: &mut fastrand::Rng) -> Vec<HostPort> {
    records.retain(|record| !record.target.host.is_empty() && record.target.port != 0);
    records.truncate(SERVERS_MAX);
    // Those of weight zero first, as the RFC says, and otherwise by chance: the order of the answer means nothing.
    random.shuffle(&mut records);
    records.sort_by_key(|record| (record.priority, record.weight > 0));
    let mut order: Vec<HostPort> = Vec::with_capacity(records.len());
    while let Some(first) = records.first() {
        let alike = records.iter().take_while(|record| record.priority == first.priority);
        let sum: u32 = alike.map(|record| u32::from(record.weight)).sum();
        let mut chance = random.u32(..=sum);
        let drawn = records.iter().position(|record| {
            let is_drawn = u32::from(record.weight) >= chance;
            chance = chance.saturating_sub(record.weight.into());
            is_drawn
        });
        let target = records.remove(drawn.unwrap_or(0)).target;
        if !order.contains(&target) {
            order.push(target);
        }
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn record(priority: u16, weight: u16, host: &str) -> SrvRecord {
        SrvRecord { priority, weight, target: HostPort { host: host.to_owned(), port: 2181 } }
    }

    fn names(records: &[SrvRecord], random: &mut fastrand::Rng) -> Vec<String> {
        in_order(records.to_vec(), random).into_iter().map(|host| host.host).collect()
    }

    #[test]
    fn priorities_come_in_order_and_weights_are_chances() {
        let mut random = fastrand::Rng::with_seed(2782);
        let records = [
            record(20, 0, "last"),
            record(10, 10, "light"),
            record(10, 30, "heavy"),
            record(10, 60, "heaviest"),
            record(5, 0, "first"),
        ];
        let mut seconds = BTreeMap::<_, u32>::new();
        for _ in 0..10_000 {
            let order = names(&records, &mut random);
            assert_eq!((order.len(), &*order[0], &*order[4]), (5, "first", "last"));
            *seconds.entry(order[1].clone()).or_default() += 1;
        }
        for (name, expected) in [("light", 1_000), ("heavy", 3_000), ("heaviest", 6_000)] {
            assert!(seconds[name].abs_diff(expected) < expected / 5, "{seconds:?}");
        }
    }

    #[test]
    fn without_weights_everybody_has_the_same_chance() {
        let mut random = fastrand::Rng::with_seed(2782);
        let mut firsts = BTreeMap::<_, u32>::new();
        for _ in 0..9_000 {
            let order = names(&[record(1, 0, "a"), record(1, 0, "b"), record(1, 0, "c")], &mut random);
            *firsts.entry(order[0].clone()).or_default() += 1;
        }
        assert!(firsts.len() == 3 && firsts.values().all(|count| (2_700..3_300).contains(count)), "{firsts:?}");
        // The RFC's "very small chance" beside others.
        let beside = (0..10_000).filter(|_| names(&[record(1, 0, "a"), record(1, 99, "b")], &mut random)[0] == "a");
        assert!((40..250).contains(&beside.count()));
    }

    #[test]
    fn what_is_no_server_is_left_out_and_weights_do_not_overflow() {
        let mut random = fastrand::Rng::with_seed(2782);
        let no_port = SrvRecord { target: HostPort { host: "a".into(), port: 0 }, ..record(1, 1, "a") };
        assert_eq!(in_order(vec![record(0, 0, ""), no_port], &mut random), []);
        assert_eq!(in_order(Vec::new(), &mut random), []);
        let many: Vec<_> = (0..2_000).map(|host| record(1, u16::MAX, &host.to_string())).collect();
        assert_eq!(in_order(many, &mut random).len(), SERVERS_MAX);
        assert_eq!(names(&[record(1, 1, "a"), record(2, 1, "a")], &mut random), ["a"]);
    }
}
