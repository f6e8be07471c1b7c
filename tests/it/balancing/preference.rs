//! Who gets more than others for a while: those of our own zone, and those that did not just come back.

use super::*;

const ASKED: usize = 200;

/// How many of so many requests each of these answered.
fn shares<const N: usize>(balancer: &Running, names: [&str; N]) -> [usize; N] {
    let mut client = Client::to(balancer.address);
    let mut counts = [0; N];
    for _ in 0..ASKED {
        client.send(GET);
        let answer = client.answer().expect_status(200);
        let is_it = |name: &&str| answer.text() == format!("hello from {name}\n");
        counts[names.iter().position(is_it).expect("one of them answers")] += 1;
    }
    counts
}

#[test]
fn a_backend_that_came_back_begins_with_a_tenth_of_its_share() {
    for policy in ["round_robin", "random", "least_requests"] {
        let (stays, mut returns) = (Sample::start("stays"), Sample::start("returns"));
        let pool = format!("policy = \"{policy}\"\nslow_start = \"1h\"\nbackends = [\"{{0}}\", \"{{1}}\"]");
        let name = format!("slow-{policy}");
        let balancer = with_pool(&name, &pool, &[stays.address(), returns.address()]);
        let [_, before] = shares(&balancer, ["stays", "returns"]);
        assert!(before > ASKED / 4, "{policy}: those who were there at the start need not warm up: {before}");
        returns.kill();
        assert_eq!(shares(&balancer, ["stays", "returns"]), [ASKED, 0], "{policy}");
        returns.restart();
        balancer.said_times(&format!("{} is healthy", returns.address()), 2);
        let [_, after] = shares(&balancer, ["stays", "returns"]);
        // One in eleven is eighteen of two hundred, give or take eight times four.
        assert!((1..=50).contains(&after), "{policy}: {after}");
    }
}

#[test]
fn a_backend_that_joined_by_a_reload_begins_with_a_tenth_of_its_share_and_the_others_keep_theirs() {
    let samples = ["one", "two", "new"].map(Sample::start);
    let text = |count: usize| {
        let addresses: Vec<_> =
            samples[..count].iter().map(|sample| format!("\"{}\"", sample.address())).collect();
        format!(
            "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n[pools.app]\n\
             policy = \"round_robin\"\nslow_start = \"1h\"\nhealth = {{ path = \"/health\" }}\n\
             backends = [{}]\n",
            addresses.join(", ")
        )
    };
    let settings = Settings::that_say(&text(2));
    let balancer = settings.balancer().start();
    settings.change(&balancer, &text(3));
    balancer.said(&format!("{} is healthy", samples[2].address()));
    let [one, two, new] = shares(&balancer, ["one", "two", "new"]);
    assert!((1..=45).contains(&new), "{new}");
    assert!(one.abs_diff(two) < 60, "{one} and {two}");
}

#[test]
fn a_backend_that_was_disabled_begins_with_a_tenth_of_its_share() {
    let (stays, returns) = (Sample::start("stays"), Sample::start("returns"));
    let settings = Settings::that_say(&format!(
        "[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"127.0.0.1:0\"\n[pools.all]\n\
         policy = \"round_robin\"\nslow_start = \"1h\"\nhealth = {{ path = \"/health\" }}\n\
         backends = [\"{}\", \"{}\"]\n",
        stays.address(),
        returns.address()
    ));
    let balancer = settings.balancer().start();
    balancer.said_times("is healthy", 2);
    let admin = balancer.admin();
    let share = || shares(&balancer, ["stays", "returns"])[1];
    assert_eq!(share(), ASKED / 2);
    // What is drained is still in use.
    for (hold, least, most) in [("drain", ASKED / 2, ASKED / 2), ("disable", 1, 50)] {
        admin.patch(returns.address(), &format!("{{\"hold\": \"{hold}\"}}"));
        until("the other one has all", || share() == 0);
        admin.patch(returns.address(), "{\"hold\": null}");
        until("it is used again", || get(balancer.address, "/").text() == "hello from returns\n");
        let share = share();
        assert!((least..=most).contains(&share), "{hold}: {share}");
        let warmth = if hold == "disable" { 10 } else { 100 };
        assert_eq!(admin.backend(returns.address())["warmth"], warmth, "{hold}");
        assert_eq!(admin.backend(stays.address())["warmth"], 100, "{hold}");
    }
    let (_, said) = Balancer::bare().flag("--admin", &admin.address.to_string()).word("status").fail();
    assert!(said.contains(" 1 (10 % yet) "), "{said}");
}

#[test]
fn backends_of_the_own_zone_take_all_they_can_and_those_of_others_the_rest() {
    let samples = ["near", "next", "far", "nowhere"].map(Sample::start);
    let pool = "policy = \"random\"\nzone = \"eu\"\nbackends = [{ address = \"{0}\", zone = \"eu\" }, \
                { address = \"{2}\", zone = \"us\" }, \"{3}\", { address = \"{1}\", zone = \"eu\" }]";
    let balancer = with_pool("zones", pool, &samples.each_ref().map(Sample::address));
    let names = ["near", "next", "far", "nowhere"];
    let [near, next, others @ ..] = shares(&balancer, names);
    assert!(near > 0 && next > 0 && others == [0, 0], "{near}, {next}, {others:?}");
    samples[1].kill();
    balancer_knows(&balancer, samples[1].address());
    // Half of the zone carries five sevenths of all, and 57 of 200 go elsewhere, give or take six times six.
    let [near, _, far, nowhere] = shares(&balancer, names);
    assert!((20..=95).contains(&(far + nowhere)), "{near}, {far}, {nowhere}");
    assert!(far > 0 && nowhere > 0, "{far}, {nowhere}");
    samples[0].kill();
    balancer_knows(&balancer, samples[0].address());
    let [near, next, far, nowhere] = shares(&balancer, names);
    assert!([near, next] == [0, 0] && far > 0 && nowhere > 0, "{far}, {nowhere}");
}

/// Asks until a request has found a backend dead.
fn balancer_knows(balancer: &Running, dead: SocketAddr) {
    until("it is found dead", || {
        get(balancer.address, "/").expect_status(200);
        balancer.times_said(&format!("{dead} is down")) == 1
    });
}
