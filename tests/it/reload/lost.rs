//! Unix sockets whose files others removed: nobody can come there any more.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::support::pki::Folder;
use crate::support::{Balancer, Running, Sample, Settings, until};

const REFUSED: &str = "reload refused, the settings stay as they were";

/// A balancer whose clients come to the first path, and callers of its admin API to the second.
struct Scene {
    web: PathBuf,
    admin: PathBuf,
    balancer: Running,
    _parts: (Sample, Folder, Settings),
}

impl Scene {
    fn new() -> Self {
        let (sample, folder) = (Sample::start("one"), Folder::new());
        let (web, admin) = (folder.path("web.sock"), folder.path("admin.sock"));
        let settings = Settings::that_say(&format!(
            "listeners.web.address = \"unix:{}\"\nadmin.address = \"unix:{}\"\npools.all.backends = [\"{}\"]\n",
            web.display(),
            admin.display(),
            sample.address()
        ));
        let balancer = Balancer::bare().flag("--config", settings.path()).flag("--workers", "2").run();
        balancer.said("listening on");
        until("both are there", || web.exists() && admin.exists());
        Self { web, admin, balancer, _parts: (sample, folder, settings) }
    }

    fn reload(&self) {
        let before = self.balancer.times_said(" reloaded");
        self.balancer.signal("HUP");
        self.balancer.said_times(" reloaded", before + 1);
    }

    fn is_refused(&self, times: usize, why: &str) {
        self.balancer.signal("HUP");
        let line = self.balancer.said_times(REFUSED, times);
        assert!(line.contains(why), "{line}");
    }
}

/// What is answered at this path, if somebody is there.
fn asked_at(path: &Path, target: &str) -> Option<String> {
    let mut stream = UnixStream::connect(path).ok()?;
    write!(stream, "GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn answers(path: &Path, target: &str) {
    until("it is answered", || {
        asked_at(path, target).is_some_and(|answer| answer.starts_with("HTTP/1.1 200 OK\r\n"))
    });
}

#[test]
fn unix_sockets_whose_files_were_removed_are_made_anew_by_a_reload() {
    let scene = Scene::new();
    for path in [&scene.web, &scene.admin] {
        fs::remove_file(path).unwrap();
        scene.reload();
        answers(&scene.web, "/");
        answers(&scene.admin, "/livez");
    }
    scene.balancer.signal("HUP");
    scene.balancer.said("reload: nothing has changed");
    scene.balancer.signal("TERM");
    assert!(scene.balancer.ended().success());
    assert!(!scene.web.exists() && !scene.admin.exists());
}

#[test]
fn a_unix_socket_in_whose_place_somebody_else_is_comes_back_when_that_one_has_gone() {
    let scene = Scene::new();
    for (path, target, times) in [(&scene.web, "/", 1), (&scene.admin, "/livez", 3)] {
        fs::remove_file(path).unwrap();
        let other = UnixListener::bind(path).unwrap();
        scene.is_refused(times, "a program answers there");
        drop(other);
        fs::remove_file(path).unwrap();
        fs::write(path, "no socket").unwrap();
        scene.is_refused(times + 1, "a file is there that is no socket");
        assert_eq!(fs::read_to_string(path).unwrap(), "no socket");
        fs::remove_file(path).unwrap();
        scene.reload();
        answers(path, target);
    }
}
