//! Reloads that move sources about, and those that would leave nobody to send requests to.

use super::{answers, settings_text};
use crate::support::{Sample, Settings};

#[test]
fn a_reload_that_leaves_a_pool_only_weights_of_0_is_refused() {
    let samples = ["first", "second"].map(Sample::start);
    let [first, second] = samples.each_ref().map(Sample::address);
    let list = Settings::that_say("");
    let path = list.put("backends.txt", format!("{second} weight=0\n"));
    let rest = settings_text(None, &format!("file:{}", path.display()));
    let settings = Settings::that_say(&format!("{rest}backends = [\"{first}\"]\n"));
    let balancer = settings.balancer().start();
    balancer.said("tells of 1 backend");
    for text in [rest.clone(), format!("{rest}backends = [{{ address = \"{first}\", weight = 0 }}]\n")] {
        let before = balancer.times_said("no backend of pool all would get a request: all weights are 0");
        settings.write(&text);
        balancer.signal("HUP");
        balancer.said_times("no backend of pool all would get a request: all weights are 0", before + 1);
        assert_eq!(answers(&balancer), "hello from first\n");
    }
}
