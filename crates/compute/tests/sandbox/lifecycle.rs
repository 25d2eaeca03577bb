//! Start, end, stop, and finding a process again.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    process::{Command, Stdio},
    time::Duration,
};

use bessemer_compute::{
    Attached, Bind, Cause, LaunchError, Layer, ProcessId, Status,
    logs::{LogReader, Source, Window},
};

use crate::site::{Site, exists, is_root};

#[test]
fn a_command_runs_where_it_should_and_its_end_is_told() {
    let site = Site::new();
    let mut spec =
        site.sh("pwd; hostname; cat own; echo; echo $GREETING; echo out > result; exit 7");
    spec.env.push(("GREETING".into(), "hello there".into()));
    spec.hostname = "algo-2".into();
    let (exit, output) = site.run(&spec);
    assert_eq!((exit.status, exit.cause), (Status::Code(7), None));
    assert_eq!(output, "/opt/ml\nalgo-2\nmine\nhello there\n");
    assert!(exit.started_millis > 0 && exit.ended_millis >= exit.started_millis);
    assert_eq!(fs::read_to_string(site.path("runs/1/ml/result")).unwrap(), "out\n");
    if is_root() {
        assert_eq!(fs::metadata(site.path("runs/1/ml/result")).unwrap().uid(), site.uid());
    }
}

#[test]
fn a_signal_is_told() {
    let site = Site::new();
    let (exit, _) = site.run(&site.sh("kill -SEGV $$"));
    assert_eq!((exit.status, exit.cause), (Status::Signal(11), None));
    assert_eq!(exit.to_string(), "was killed by signal 11");
}

#[test]
fn both_streams_are_logged_with_their_times() {
    let site = Site::new();
    let (exit, _) =
        site.run(&site.sh("echo one; sleep 0.02; echo two; echo three >&2; printf unfinished"));
    let mut log = LogReader::open(&site.path("logs/1.log")).unwrap().unwrap();
    let records = log.forward(0, &Window::default()).unwrap().records;
    let of = |source| -> Vec<&str> {
        let its = records.iter().filter(|record| record.source == source && !record.continues);
        its.map(|record| record.text.as_str()).collect()
    };
    assert_eq!(of(Source::Output), ["one", "two", "unfinished"]);
    assert_eq!(of(Source::Error), ["three"]);
    let times: Vec<u64> = records.iter().map(|record| record.millis).collect();
    assert!(times.is_sorted() && times[1] > times[0], "{times:?}");
    assert!(times[3] <= exit.ended_millis);
}

#[test]
fn the_users_name_and_the_others_are_known() {
    let site = Site::new();
    let mut spec =
        site.sh("id -un; getent hosts algo-2; cat /etc/hosts; cat /etc/resolv.conf | wc -l");
    spec.hosts = vec![("127.0.0.1".into(), "algo-1".into()), ("127.0.0.2".into(), "algo-2".into())];
    let (_, output) = site.run(&spec);
    assert!(output.starts_with(if is_root() { "bessemer\n" } else { "root\n" }), "{output}");
    assert!(output.contains("127.0.0.2") && output.contains("algo-2"), "{output}");
}

#[test]
fn the_loopback_works() {
    let site = Site::new();
    let (exit, output) = site.run(&site.python(
        "import socket\ns = socket.create_server(('127.0.0.1', 0))\n\
         socket.create_connection(s.getsockname()); print('connected')",
    ));
    assert!(exit.is_success(), "{output}");
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let site = Site::new();
    let error = site.launcher.start(&site.spec("/opt/ml/missing", &[])).unwrap_err();
    let LaunchError::Sandbox(setup) = &error else { panic!("{error}") };
    assert!(setup.command);
    assert!(
        error.to_string().contains("run `/opt/ml/missing` in the sandbox: No such file"),
        "{error}"
    );
    let found = site.launcher.reattach(&site.path("runs/1/control")).unwrap();
    assert!(matches!(found, Attached::Failed(_)), "{found:?}");
}

#[test]
fn a_folder_or_a_source_that_is_not_there_is_named() {
    let site = Site::new();
    let mut spec = site.sh("true");
    spec.cwd = "/nowhere".into();
    let error = site.launcher.start(&spec).unwrap_err().to_string();
    assert!(error.contains("enter `/nowhere`"), "{error}");
    let mut spec = site.sh("true");
    spec.control = site.path("runs/1/control-2");
    spec.mounts.push(Bind::read_only(site.path("nothing"), "/data"));
    let error = site.launcher.start(&spec).unwrap_err().to_string();
    assert!(error.contains("nothing` as `/data`: No such file"), "{error}");
}

#[test]
fn stop_asks_the_whole_group_first() {
    let site = Site::new();
    let spec = site.sh(
        "sh -c 'trap \"echo child asked; exit\" TERM; echo a; while :; do sleep 0.01; done' & \
         trap 'wait; echo asked; exit 5' TERM; echo b; wait",
    );
    let child = site.launcher.start(&spec).unwrap();
    site.wait_for_output(&child, "a\n");
    site.wait_for_output(&child, "b\n");
    child.stop().unwrap();
    let exit = child.wait().unwrap();
    assert_eq!((exit.status, exit.cause), (Status::Code(5), Some(Cause::Stopped)));
    assert!(site.output().contains("child asked\n") && site.output().contains("\nasked\n"));
    child.stop().unwrap(); // nobody is there, which is fine
}

#[test]
fn a_command_that_handles_nothing_ends_at_once_when_stopped() {
    let site = Site::new();
    let mut spec = site.spec("/bin/sleep", &["600"]);
    spec.stop_grace = Duration::from_secs(500);
    let child = site.launcher.start(&spec).unwrap();
    child.stop().unwrap();
    assert_eq!(child.wait().unwrap().status, Status::Signal(15));
}

#[test]
fn what_does_not_want_to_stop_is_killed_after_its_grace() {
    let site = Site::new();
    let mut spec = site.sh("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    spec.stop_grace = Duration::from_millis(50);
    let child = site.launcher.start(&spec).unwrap();
    site.wait_for_output(&child, "ready");
    child.stop().unwrap();
    let exit = child.wait().unwrap();
    assert_eq!((exit.status, exit.cause), (Status::Signal(9), Some(Cause::Stopped)));
}

#[test]
fn kill_waits_for_nothing() {
    let site = Site::new();
    let mut spec = site.sh("trap '' TERM; echo ready; while :; do sleep 0.01; done");
    spec.stop_grace = Duration::from_mins(10);
    let child = site.launcher.start(&spec).unwrap();
    site.wait_for_output(&child, "ready");
    child.kill().unwrap();
    assert_eq!(child.wait().unwrap().status, Status::Signal(9));
}

#[test]
fn what_was_never_told_to_run_says_so() {
    let site = Site::new();
    drop(site.launcher.prepare(&site.sh("echo ran")).unwrap());
    let found = site.launcher.reattach(&site.path("runs/1/control")).unwrap();
    assert!(matches!(found, Attached::Ended(exit) if exit.status == Status::NeverRan));
}

#[test]
fn a_running_process_is_found_again_and_stopped() {
    let site = Site::new();
    let control = site.path("runs/1/control");
    assert!(matches!(site.launcher.reattach(&control).unwrap(), Attached::Nothing));
    let first = site.launcher.start(&site.sh("echo ready; sleep 600")).unwrap();
    site.wait_for_output(&first, "ready");
    let Attached::Running(second) = site.launcher.reattach(&control).unwrap() else { panic!() };
    assert_eq!(second.id(), first.id());
    assert!(second.id().is_alive());
    second.stop().unwrap();
    let exit = first.wait().unwrap();
    assert_eq!(second.wait().unwrap(), exit);
    assert!(!first.id().is_alive());
    let Attached::Ended(again) = site.launcher.reattach(&control).unwrap() else { panic!() };
    assert_eq!(again, exit);
}

#[test]
fn an_orphan_ends_with_all_of_its_sandbox() {
    let site = Site::new();
    let child = site.launcher.start(&site.sh("echo ready; sleep 600 & sleep 600")).unwrap();
    site.wait_for_output(&child, "ready");
    let id = child.id();
    let inside = descendants(id.pid);
    assert!(inside.len() >= 3, "{inside:?}");
    assert!(!ProcessId { start_time: id.start_time + 1, ..id }.kill_orphan().unwrap());
    assert!(id.kill_orphan().unwrap());
    let exit = child.wait().unwrap();
    assert_eq!(exit.status, Status::Lost);
    while inside.iter().any(|pid| exists(*pid)) {
        std::thread::yield_now();
    }
    assert!(!id.kill_orphan().unwrap());
    let found = site.launcher.reattach(&site.path("runs/1/control")).unwrap();
    assert!(matches!(found, Attached::Ended(exit) if exit.status == Status::Lost));
}

#[test]
fn neither_process_nor_output_is_lost_with_the_server() {
    if std::env::var_os("BESSEMER_TEST_SERVER").is_some() {
        return be_a_server();
    }
    let site = Site::new();
    let mut server = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "lifecycle::neither_process_nor_output_is_lost_with_the_server",
            "--nocapture",
        ])
        .env("BESSEMER_TEST_SERVER", site.path(""))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let control = site.path("runs/1/control");
    let child = loop {
        match site.launcher.reattach(&control).unwrap() {
            Attached::Running(child) => break child,
            Attached::Nothing => assert!(server.try_wait().unwrap().is_none()),
            other => panic!("{other:?}"),
        }
    };
    site.wait_for_output(&child, "line 3\n");
    server.kill().unwrap();
    server.wait().unwrap();
    fs::write(site.path("runs/1/ml/go"), "").unwrap();
    let exit = child.wait().unwrap();
    assert!(exit.is_success(), "{exit}");
    assert_eq!(site.output(), "line 1\nline 2\nline 3\nline 4\nline 5\n");
}

/// The other process of the test above: starts a job, and is killed while it waits for it.
fn be_a_server() {
    let folder = std::env::var_os("BESSEMER_TEST_SERVER").unwrap();
    let site = Site::new();
    let mut spec = site
        .sh("for i in 1 2 3; do echo line $i; done; while [ ! -e go ]; do sleep 0.01; done; \
         echo line 4; echo line 5");
    let there = std::path::Path::new(&folder);
    spec.mounts = vec![Bind::writable(there.join("runs/1/ml"), "/opt/ml")];
    spec.control = there.join("runs/1/control");
    spec.log.file = there.join("logs/1.log");
    spec.uid = is_root().then(|| fs::metadata(there.join("runs/1/ml")).unwrap().uid());
    site.launcher.start(&spec).unwrap().wait().unwrap();
}

#[test]
fn every_layer_is_told() {
    let site = Site::new();
    let layers = site.launcher.layers(&site.path("")).unwrap();
    for layer in Layer::ALL {
        let state = layers.iter().find(|state| state.layer == layer);
        let state = state.unwrap_or_else(|| panic!("nothing about {}", layer.name()));
        let group = [Layer::MemoryGroup, Layer::ProcessGroup, Layer::CpuGroup].contains(&layer);
        assert_eq!(state.active, !group, "{state:?}");
    }
}

#[test]
fn many_at_once_keep_apart() {
    let site = Site::new();
    let children: Vec<_> = (0..8)
        .map(|number| {
            let mut spec =
                site.sh(&format!("echo {number} > /tmp/x; sleep 0.05; cat /tmp/x; exit {number}"));
            spec.control = site.path(&format!("runs/1/control-{number}"));
            spec.log.file = site.path(&format!("logs/many-{number}.log"));
            site.launcher.start(&spec).unwrap()
        })
        .collect();
    for (number, child) in children.iter().enumerate() {
        assert_eq!(child.wait().unwrap().status, Status::Code(number as i32));
        let text = fs::read_to_string(site.path(&format!("logs/many-{number}.log"))).unwrap();
        assert!(text.ends_with(&format!(" o {number}\n")), "{text}");
    }
}

fn descendants(pid: u32) -> Vec<u32> {
    let mut found = vec![pid];
    let mut at = 0;
    while at < found.len() {
        let path = format!("/proc/{0}/task/{0}/children", found[at]);
        let text = fs::read_to_string(path).unwrap_or_default();
        found.extend(text.split_whitespace().map(|pid| pid.parse::<u32>().unwrap()));
        at += 1;
    }
    found
}
