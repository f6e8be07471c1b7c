use super::*;

const INTERVAL: Duration = Duration::from_secs(30);
const OK: Evidence = Evidence::Answered(StatusCode::NO_CONTENT, Duration::ZERO);

fn after(evidence: &[Evidence]) -> Health {
    let now = Instant::now();
    let mut health = Health::unknown(now);
    evidence.iter().for_each(|evidence| health.learn(evidence.clone(), now, now));
    health
}

#[test]
fn only_what_is_wanted_means_healthy() {
    assert_eq!(after(&[OK]).state(), State::Up);
    let unwanted = Evidence::Unwanted(StatusCode::FOUND, Duration::ZERO, "2xx".into());
    assert_eq!(after(&[OK, unwanted]).state(), State::Down);
    assert_eq!(after(&[OK, Evidence::Refused]).state(), State::Down);
    assert_eq!(after(&[Evidence::Refused, OK]).state(), State::Up);
}

#[test]
fn it_is_well_since_it_got_well_not_since_the_last_good_check() {
    let now = Instant::now();
    let at = |seconds| now + Duration::from_secs(seconds);
    let mut health = Health::unknown(now);
    health.learn(OK, at(1), at(1));
    assert_eq!(health.well_since(), None);
    health.learn(Evidence::Refused, at(2), at(2));
    health.learn(OK, at(3), at(3));
    health.learn(OK, at(4), at(4));
    assert_eq!(health.well_since(), Some(at(3)));
}

#[test]
fn closed_connections_count_together_if_they_follow_each_other_soon_and_no_answer_comes_between() {
    let now = Instant::now();
    let mut health = Health::unknown(now);
    let mut closed = |answers, seconds| health.closed(answers, now + Duration::from_secs(seconds));
    assert_eq!([closed(5, 0), closed(5, 9), closed(5, 18)], [1, 2, 3]);
    assert_eq!([closed(6, 19), closed(6, 20), closed(6, 30)], [1, 2, 1]);
}

#[test]
fn a_doubt_is_news_once_a_second_and_stays_until_a_check_that_began_after_it() {
    let now = Instant::now();
    let at = |millis| now + Duration::from_millis(millis);
    let mut health = Health::unknown(now);
    assert!(health.doubt(at(100)) && !health.doubt(at(5000)));
    health.learn(OK, at(99), at(5001));
    assert!(health.is_doubted());
    health.learn(OK, at(5001), at(5002));
    assert!(!health.is_doubted());
    assert!(health.doubt(at(6000)));
    health.learn(OK, at(6001), at(6002));
    assert!(!health.doubt(at(6999)) && health.doubt(at(7000)));
}

#[test]
fn a_check_that_began_before_the_backend_died_does_not_revive_it() {
    let (before, death) = (Instant::now(), Instant::now() + Duration::from_millis(1));
    let mut health = Health::unknown(before);
    health.learn(Evidence::Refused, death, death);
    health.learn(OK, before, death + Duration::from_millis(1));
    assert_eq!(health.state(), State::Down);
    health.learn(OK, death, death + Duration::from_millis(2));
    assert_eq!(health.state(), State::Up);
}

#[test]
fn a_backend_nobody_has_looked_at_is_used() {
    assert!(after(&[]).is_usable());
}

#[test]
fn a_backend_that_is_down_is_checked_after_one_second_then_less_and_less_often() {
    let mut evidence = vec![OK];
    let mut pauses = Vec::new();
    for _ in 0..7 {
        evidence.push(Evidence::Refused);
        pauses.push(after(&evidence).pause(INTERVAL, 0.5).as_secs());
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
}

#[test]
fn an_interval_below_a_second_holds_for_a_backend_that_is_down_too() {
    let short = Duration::from_millis(200);
    assert_eq!(after(&[Evidence::Refused]).pause(short, 0.5), short);
}

#[test]
fn checks_are_spread_by_a_tenth_of_the_interval() {
    assert_eq!(after(&[OK]).pause(INTERVAL, 0.0), Duration::from_secs(27));
    assert_eq!(after(&[OK]).pause(INTERVAL, 1.0), Duration::from_secs(33));
}

/// A backend that was found to close on requests at these seconds, and to be well at these.
fn closing(found: &[(u64, bool)]) -> Health {
    let now = Instant::now();
    let mut health = Health::unknown(now);
    for (second, is_well) in found {
        let at = now + Duration::from_secs(*second);
        health.learn(if *is_well { OK } else { Evidence::ClosedOn(3) }, at, at);
    }
    health
}

#[test]
fn who_closes_on_requests_as_soon_as_it_is_back_is_checked_less_and_less_often_though_its_checks_are_well() {
    let (mut found, mut pauses, mut second) = (vec![(0, true)], Vec::new(), 1);
    for _ in 0..7 {
        found.push((second, false));
        pauses.push(closing(&found).pause(INTERVAL, 0.5).as_secs());
        second += pauses.last().unwrap();
        found.push((second, true));
        second += 1;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    assert_eq!(closing(&found).pause(INTERVAL, 0.5), INTERVAL);
}

#[test]
fn who_was_well_for_a_while_and_answered_or_was_let_back_in_or_down_for_another_reason_begins_anew() {
    let now = Instant::now();
    let at = |second| now + Duration::from_secs(second);
    let mut health = closing(&[(0, true), (1, false), (2, true), (3, false), (5, true)]);
    let pause = |health: &mut Health, second| {
        health.learn(Evidence::ClosedOn(3), at(second), at(second));
        health.pause(INTERVAL, 0.5).as_secs()
    };
    assert_eq!(pause(&mut health.clone(), 50), 4, "it has answered nobody since");
    health.closed(1, at(50));
    assert_eq!(pause(&mut health.clone(), 50), 1);
    let mut let_in = health.clone();
    let_in.let_back_in(at(6));
    assert_eq!(pause(&mut let_in, 7), 1);
    let mut restarted = closing(&[(0, true), (1, false), (2, true), (3, false), (5, true), (6, false)]);
    assert_eq!(restarted.pause(INTERVAL, 0.5).as_secs(), 4);
    restarted.learn(Evidence::Refused, at(10), at(10));
    assert_eq!(restarted.pause(INTERVAL, 0.5).as_secs(), 2, "somebody mends it");
    health.learn(Evidence::Refused, at(6), at(6));
    assert_eq!(health.pause(INTERVAL, 0.5).as_secs(), 1);
    health.learn(OK, at(7), at(7));
    assert_eq!(pause(&mut health, 8), 1);
}

#[test]
fn a_check_that_somebody_else_asked_for_brings_nobody_back_who_closes_on_requests_unless_it_is_missed() {
    let mut health = closing(&[(0, true), (1, false), (2, true), (3, false)]);
    let after = |millis| health.learned() + Duration::from_millis(millis);
    let is_too_soon = |millis| health.is_too_soon(&OK, after(millis), INTERVAL);
    assert_eq!([0, 1_000, 1_799, 1_800].map(is_too_soon), [true, true, true, false]);
    assert!(!health.is_too_soon(&Evidence::Refused, after(0), INTERVAL));
    let now = after(1_000);
    assert!(health.doubt(now) && !health.is_too_soon(&OK, now, INTERVAL));
}
