//! Backends that are given by a name that has several addresses, of which one is used.

use crate::support::{Backend, Balancer, Running, Sample, Settings, get, lacks_lists_of_names};

const THREE: &str = "127.0.0.2 app.test\n127.0.0.3 app.test\n127.0.0.4 app.test\n127.0.0.2 app.test\n";
/// One machine, whatever is spoken to it.
const ONE: &str = "127.0.0.1 app.test\n::1 app.test\n127.0.0.1 app.test\n";

fn text(backends: &str) -> String {
    format!("[listeners.web]\naddress = \"127.0.0.1:0\"\n[admin]\naddress = \"off\"\n{backends}")
}

fn remark(name: &str, first: &str) -> String {
    format!("{name} has 3 addresses, of which {first} is used: discover = [\"dns:{name}\"] uses all")
}

#[test]
fn of_a_name_with_several_addresses_it_is_said_once_which_one_is_used_and_what_uses_all() {
    if lacks_lists_of_names() {
        return;
    }
    let port = Backend::refuses().port();
    let name = format!("app.test:{port}");
    let pools: String = ["a", "b"].map(|pool| format!("[pools.{pool}]\nbackends = [\"{name}\"]\n")).concat();
    let settings = Settings::that_say(&text(&format!("{pools}[routes.all]\npool = \"a\"\n")));
    let list = settings.put("hosts", THREE);
    let told = remark(&name, &format!("127.0.0.2:{port}"));
    let (code, said) = settings.balancer().names_from(&list).word("validate").fail();
    assert_eq!((code, said.matches(&*told).count()), (Some(0), 1), "{said}");
    let balancer = settings.balancer().names_from(&list).start();
    let times = |balancer: &Running| balancer.times_said(&told);
    assert_eq!(times(&balancer), 1, "{}", balancer.all_said());
    balancer.signal("HUP");
    balancer.said("reload: nothing has changed");
    assert_eq!(times(&balancer), 2, "{}", balancer.all_said());
    settings.put("hosts", ONE);
    balancer.signal("HUP");
    balancer.said(" reloaded");
    assert_eq!(balancer.times_said(" addresses, of which "), 2, "{}", balancer.all_said());
}

#[test]
fn nothing_is_said_of_a_name_that_is_one_machine_over_both_versions_of_ip() {
    if lacks_lists_of_names() {
        return;
    }
    let backend = Sample::start("one");
    let name = format!("app.test:{}", backend.address().port());
    let settings = Settings::that_say(&text(&format!("[pools.all]\nbackends = [\"{name}\"]\n")));
    let list = settings.put("hosts", ONE);
    let balancer = settings.balancer().names_from(&list).start();
    assert_eq!(get(balancer.address, "/").expect_status(200).text(), "hello from one\n");
    assert_eq!(balancer.times_said(" addresses, of which "), 0, "{}", balancer.all_said());
}

#[test]
fn it_is_said_in_the_words_of_the_file_and_to_who_wrote_flags() {
    if lacks_lists_of_names() {
        return;
    }
    let settings = Settings::that_say("");
    let list = settings.put("hosts", THREE);
    let yaml = settings.put("lb.yaml", "pools: { all: { backends: [\"https://app.test:1\"] } }\n");
    let balancer = Balancer::bare().flag("--config", yaml.to_str().expect("a path of ASCII"));
    let (code, said) = balancer.names_from(&list).word("validate").fail();
    let told = "https://app.test:1 has 3 addresses, of which 127.0.0.2:1 is used: \
                discover: [\"dns:https://app.test:1\"] uses all";
    assert!(code == Some(0) && said.contains(told), "{said}");
    let flags = Balancer::bare().flag("--backend", "app.test:1").names_from(&list);
    let (code, said) = flags.word("validate").fail();
    let told = remark("app.test:1", "127.0.0.2:1").replace("discover", "a file with discover");
    assert!(code == Some(0) && said.contains(&told), "{said}");
}
