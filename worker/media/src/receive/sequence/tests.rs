use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

fn after(numbers: impl IntoIterator<Item = u16>) -> Sequence {
    let mut numbers = numbers.into_iter();
    let mut sequence = Sequence::new(numbers.next().unwrap());
    for number in numbers {
        sequence.observe(number);
    }
    sequence
}

fn flushed(numbers: impl IntoIterator<Item = u16>) -> Counts {
    let mut sequence = after(numbers);
    sequence.flush();
    sequence.counts()
}

fn counts(rx: u64, dup: u64, ooo: u64, expected: u64, lost: i64) -> Counts {
    Counts {
        rx,
        dup,
        ooo,
        expected,
        lost,
    }
}

#[test]
fn a_gap_is_loss_and_a_duplicate_does_not_hide_it() {
    assert_eq!(flushed([10, 11, 13, 13, 14]), counts(4, 1, 0, 5, 1));
}

#[test]
fn packets_that_change_places_are_not_lost() {
    assert_eq!(flushed([10, 12, 11, 13]), counts(4, 0, 1, 4, 0));
    let sequence = after([10, 12]);
    assert_eq!(sequence.counts().lost, 0, "11 may still come");
}

#[test]
fn a_missing_packet_is_lost_once_eight_later_ones_could_have_come() {
    let mut sequence = after([10, 12, 13, 14, 15, 16, 17, 18]);
    assert_eq!(sequence.counts().lost, 0);
    sequence.observe(19);
    assert_eq!(sequence.counts(), counts(9, 0, 0, 2, 1));
    assert_eq!(sequence.observe(11), Outcome::Reordered, "after all");
    assert_eq!(sequence.counts(), counts(10, 0, 1, 2, 0));
    assert_eq!(sequence.observe(11), Outcome::Duplicate);
}

#[test]
fn numbers_wrap_around() {
    let sequence = after((65_500..=65_535).chain(0..=40));
    assert_eq!(sequence.extended_highest(), 65_536 + 40);
    assert_eq!(sequence.span(), 77);
    assert_eq!(flushed([65_534, 65_535, 1, 0, 2]), counts(5, 0, 1, 5, 0));
    assert_eq!(
        flushed((0..4).flat_map(|_| 0..=u16::MAX)),
        counts(262_144, 0, 0, 262_144, 0)
    );
}

#[test]
fn one_that_left_before_the_first_that_came_counts_too() {
    assert_eq!(flushed([10, 8, 11]), counts(3, 0, 1, 4, 1));
    assert_eq!(flushed([10, 8, 9, 11]), counts(4, 0, 2, 4, 0));
    // Even below zero.
    assert_eq!(flushed([0, 65_535, 1]), counts(3, 0, 1, 3, 0));
}

#[test]
fn a_gap_longer_than_the_window_is_loss_of_exactly_that_many() {
    for gap in (1_000..1_040_u16).chain([2_498]) {
        let found = flushed([10, 11, 12 + gap, 13 + gap]);
        assert_eq!(found, counts(4, 0, 0, u64::from(gap) + 4, i64::from(gap)));
    }
}

#[test]
fn a_single_packet_astray_changes_nothing_and_two_that_follow_each_other_restart() {
    let mut sequence = after([10, 11]);
    assert_eq!(sequence.observe(30_000), Outcome::Astray);
    assert_eq!(sequence.observe(12), Outcome::Newest);
    assert_eq!(
        sequence.observe(30_001),
        Outcome::Astray,
        "the one before is forgotten"
    );
    assert_eq!(sequence.observe(30_002), Outcome::Restarted);
    sequence.flush();
    assert_eq!(sequence.counts(), counts(3, 0, 0, 3, 0));
}

proptest! {
    #[test]
    fn counts_are_those_of_a_set_of_numbers(
        start: u16, steps in proptest::collection::vec((1..4_u64, 0..6_u64), 1..3_000),
    ) {
        // Each step goes forward a little; then the packet of up to five numbers earlier comes.
        let (mut newest, mut came) = (100_000 + u64::from(start), Vec::new());
        for (forward, back) in steps {
            newest += forward;
            came.push(newest - back);
        }
        let sequence = {
            let mut sequence = after(came.iter().map(|number| *number as u16));
            sequence.flush();
            sequence
        };
        let different: BTreeSet<u64> = came.iter().copied().collect();
        let span = different.last().unwrap() - different.first().unwrap() + 1;
        let found = sequence.counts();
        prop_assert_eq!(found.rx, different.len() as u64);
        prop_assert_eq!(found.dup, (came.len() - different.len()) as u64);
        prop_assert_eq!(found.expected, span);
        prop_assert_eq!(found.lost, (span - different.len() as u64) as i64);
        prop_assert_eq!(sequence.span(), span);
    }

    #[test]
    fn no_numbers_make_it_panic_or_miscount(numbers in proptest::collection::vec(any::<u16>(), 1..300)) {
        let mut sequence = Sequence::new(numbers[0]);
        for number in numbers {
            if sequence.observe(number) == Outcome::Restarted {
                sequence.flush();
                sequence = Sequence::new(number.wrapping_sub(1));
                sequence.observe(number);
            }
            let Counts { rx, expected, lost, .. } = sequence.counts();
            prop_assert!(lost >= 0 && lost as u64 <= expected && rx <= sequence.span());
        }
        sequence.flush();
        let Counts { rx, expected, lost, .. } = sequence.counts();
        prop_assert_eq!(expected, sequence.span());
        prop_assert_eq!(rx + lost as u64, expected);
    }
}
