//! Unix sockets whose files others removed: nobody can come there any more.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use crate::support::pki::Folder;
use crate::support::{Backend, Balancer, Running, Sample, Settings, until};

/// A balancer whose clients come to the first path, and callers of its admin API to the second.
struct Scene {
    web: PathBuf,
    admin: PathBuf,
    balancer: Running,
    settings: Settings,
    sample: Sample,
    _folder: Folder,
}

impl Scene {
    fn new() -> Self {
        let (sample, folder) = (Sample::start("one"), Folder::new());
        let (web, admin) = (folder.path("web.sock"), folder.path("admin.sock"));
        let settings = Settings::that_say(&text(Some(&web), Some(&admin), &sample));
        let balancer = Balancer::bare().flag("--config", settings.path()).flag("--workers", "2").run();
        balancer.said("listening on unix:");
        until("both are there", || web.exists() && admin.exists());
        Self { web, admin, balancer, settings, sample, _folder: folder }
    }

    /// Reads settings that say another thing of where clients and callers come.
    fn change(&self, web: Option<&Path>, admin: Option<&Path>) {
        self.settings.change(&self.balancer, &text(web, admin, &self.sample));
    }

    fn reload(&self) {
        let before = self.balancer.times_said(" reloaded");
        self.balancer.signal("HUP");
        self.balancer.said_times(" reloaded", before + 1);
    }

    /// Posts settings that are to be watched.
    fn try_out(&self, settings: &str) {
        let mut caller = UnixStream::connect(&self.admin).unwrap();
        let ask = format!(
            "POST /api/v1/config?confirm=60s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/toml\r\n\
             Connection: close\r\nContent-Length: {}\r\n\r\n{settings}",
            settings.len()
        );
        caller.write_all(ask.as_bytes()).unwrap();
        let mut answer = String::new();
        caller.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    }

    /// Reads the same settings again, and looks that this place is still lost for this reason.
    fn stays_lost(&self, path: &Path, why: &str) {
        let refused = format!("reload refused, the settings stay as they were: {}", lost(path));
        let said = self.balancer.times_said(&refused);
        self.balancer.signal("HUP");
        let line = self.balancer.said_times(&refused, said + 1);
        assert!(line.contains(" WARN ") && line.ends_with(why), "{line}");
    }
}

/// How it is said of a path that nothing can be made there.
fn lost(path: &Path) -> String {
    format!("the file of unix:{} was removed, and it cannot be made anew: ", path.display())
}

/// Clients may come to the first path, if there is one, and to a port; callers to the second, or nowhere. How many connections there
/// may be does not depend on that.
fn text(web: Option<&Path>, admin: Option<&Path>, sample: &Sample) -> String {
    let web = web.map(|path| format!("listeners.web.address = \"unix:{}\"\n", path.display()));
    let admin = admin.map_or_else(|| "off".to_owned(), |path| format!("unix:{}", path.display()));
    format!(
        "{}listeners.port.address = \"127.0.0.1:0\"\nadmin.address = \"{admin}\"\nlimits.connections = 100\n\
         pools.all.health.interval = \"100ms\"\npools.all.backends = [\"{}\"]\n",
        web.unwrap_or_default(),
        sample.address()
    )
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
fn a_unix_socket_that_is_made_anew_is_no_change_of_the_settings_to_who_watches_them() {
    let scene = Scene::new();
    let changed =
        format!("log_level = \"debug\"\n{}", text(Some(&scene.web), Some(&scene.admin), &scene.sample));
    scene.settings.write(&changed);
    scene.try_out(&changed);
    fs::remove_file(&scene.web).unwrap();
    scene.reload();
    answers(&scene.web, "/");
    for (target, told) in [("/api/v1/overview", "\"revision\": 2,"), ("/api/v1/confirmation", "\"watching\"")]
    {
        let answer = asked_at(&scene.admin, target).expect("it is there");
        assert!(answer.contains(told), "{answer}");
    }
}

#[test]
fn a_unix_socket_in_whose_place_somebody_else_is_comes_back_when_that_one_has_gone() {
    let scene = Scene::new();
    for (path, target) in [(&scene.web, "/"), (&scene.admin, "/livez")] {
        fs::remove_file(path).unwrap();
        let other = UnixListener::bind(path).unwrap();
        scene.stays_lost(path, "a program answers there; stop it and reload");
        drop(other);
        fs::remove_file(path).unwrap();
        fs::write(path, "no socket").unwrap();
        scene.stays_lost(path, "a file is there that is no socket; remove it and reload");
        assert_eq!(fs::read_to_string(path).unwrap(), "no socket");
        fs::remove_file(path).unwrap();
        scene.reload();
        answers(path, target);
    }
}

#[test]
fn a_reload_that_cannot_make_a_unix_socket_anew_says_so_and_fails() {
    let scene = Scene::new();
    let admin = format!("unix:{}", scene.admin.display());
    let asked = || Balancer::bare().flag("--admin", &admin).word("reload").fail();
    fs::remove_file(&scene.web).unwrap();
    let other = UnixListener::bind(&scene.web).unwrap();
    let why = "a program answers there; stop it and reload";
    assert_eq!(asked(), (Some(1), format!("loadbalancer: {}{why}", lost(&scene.web))));
    drop(other);
    fs::remove_file(&scene.web).unwrap();
    let (code, said) = asked();
    assert_eq!(code, Some(0), "{said}");
    answers(&scene.web, "/");
}

#[test]
fn unix_sockets_whose_folder_has_gone_keep_no_reload_from_changing_anything_else() {
    let scene = Scene::new();
    let mut client = connected_to(&scene.web);
    let folder = scene.web.parent().unwrap();
    fs::remove_dir_all(folder).unwrap();
    let other = Sample::start("two");
    let settings = text(Some(&scene.web), Some(&scene.admin), &other);
    scene.settings.change(&scene.balancer, &settings);
    for path in [&scene.web, &scene.admin] {
        let line = scene.balancer.said(&lost(path));
        assert!(line.ends_with("the folder of the socket does not exist; make it and reload"), "{line}");
    }
    assert_eq!(scene.balancer.times_said("made anew"), 2);
    // Who was connected is served, and by the new settings.
    let head = head_of(&mut client, "/");
    assert!(head.contains("\r\nserver: two\r\n"), "{head}");
    fs::create_dir(folder).unwrap();
    scene.reload();
    answers(&scene.web, "/");
    answers(&scene.admin, "/livez");
}

/// Sends a request on a connection that is to stay, and reads the head of its answer.
fn head_of(stream: &mut BufReader<UnixStream>, target: &str) -> String {
    write!(stream.get_mut(), "HEAD {target} HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("it is taken");
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).expect("an answer") > 0, "it ends: {head}");
    }
    head
}

fn connected_to(path: &Path) -> BufReader<UnixStream> {
    BufReader::new(UnixStream::connect(path).expect("somebody listens"))
}

#[test]
fn a_unix_socket_whose_file_was_removed_is_closed_when_the_settings_no_longer_name_it() {
    let scene = Scene::new();
    let mut client = connected_to(&scene.web);
    assert!(head_of(&mut client, "/").starts_with("HTTP/1.1 200 OK\r\n"));
    fs::remove_file(&scene.web).unwrap();
    scene.change(None, Some(&scene.admin));
    scene.balancer.said(&format!("no longer listening on unix:{}", scene.web.display()));
    assert_eq!(scene.balancer.times_said("made anew"), 0);
    let last = head_of(&mut client, "/");
    assert!(last.starts_with("HTTP/1.1 200 OK\r\n") && last.contains("\r\nconnection: close\r\n"), "{last}");
    assert_eq!(client.read(&mut [0]).expect("an end"), 0);
    scene.balancer.signal("HUP");
    scene.balancer.said("reload: nothing has changed");
}

#[test]
fn an_admin_api_whose_file_was_removed_is_closed_when_it_is_switched_off() {
    let scene = Scene::new();
    let mut caller = connected_to(&scene.admin);
    assert!(head_of(&mut caller, "/livez").starts_with("HTTP/1.1 200 OK\r\n"));
    fs::remove_file(&scene.admin).unwrap();
    scene.change(Some(&scene.web), None);
    scene.balancer.said(&format!("the admin API is no longer on unix:{}", scene.admin.display()));
    assert_eq!(caller.read(&mut [0]).expect("an end"), 0);
    // What was lost there is nothing to those who come there later.
    scene.change(Some(&scene.admin), None);
    answers(&scene.admin, "/");
    scene.balancer.signal("HUP");
    scene.balancer.said("reload: nothing has changed");
}

#[test]
fn a_change_that_brought_a_unix_socket_is_taken_back_though_its_file_was_removed() {
    let scene = Scene::new();
    scene.change(None, Some(&scene.admin));
    answers(&scene.admin, "/livez");
    scene.try_out(&text(Some(&scene.web), Some(&scene.admin), &scene.sample));
    fs::remove_file(&scene.web).unwrap();
    scene.sample.kill();
    scene.balancer.said("the change was taken back: ");
    scene.balancer.said_times(&format!("no longer listening on unix:{}", scene.web.display()), 2);
}

#[test]
fn a_change_is_made_and_taken_back_though_a_unix_socket_cannot_be_made_anew() {
    let scene = Scene::new();
    fs::remove_file(&scene.web).unwrap();
    let _other = UnixListener::bind(&scene.web).unwrap();
    scene.balancer.said(" is healthy");
    let (good, bad) = (scene.sample.address().to_string(), Backend::refuses().to_string());
    scene.try_out(&text(Some(&scene.web), Some(&scene.admin), &scene.sample).replace(&good, &bad));
    scene.balancer.said("the change was taken back: ");
    scene.balancer.said_times(&lost(&scene.web), 2);
}
