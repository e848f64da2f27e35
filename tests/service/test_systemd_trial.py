"""A gateway that was installed as docs/OPERATING.md says, under a systemd that really runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.service.container import booted, why_not

HERE = Path(__file__).parent
PYTHON = "/usr/bin/python3"  # not one in a home, which the service could not look into
BIN = "/opt/mailgateway/bin"
SETTINGS_FILE = "/etc/mailgateway/gateway.toml"
DROP_IN = "/run/systemd/system/mailgateway.service.d"
SETTINGS = """\
hostname = "gateway.test"
state_dir = "/var/lib/mailgateway"
workers = 2
{listeners}
[log]
format = "json"
[vendors.postscale]
api = "postscale"
url = "http://127.0.0.1:8026/sandbox/postscale/v1"
key = {{ credential = "postscale-key" }}
"""
PASSED = """
[[listeners]]
endpoint = "systemd:domain=INET6:index=0"
tls = "starttls"
[[listeners]]
endpoint = "systemd:domain=INET6:index=1"
tls = "implicit"
[console]
endpoint = "systemd:domain=INET:index=2"
"""
VENDOR = """\
hostname = "vendor.test"
state_dir = "/var/tmp/vendor"
workers = 1
[[listeners]]
endpoint = "tcp:3525:interface=127.0.0.1"
tls = "none"
[console]
endpoint = "tcp:8026:interface=127.0.0.1"
[vendors.postscale]
api = "postscale"
url = "http://127.0.0.1:8026/sandbox/postscale/v1"
[sandbox]
enabled = true
"""
VENDOR_UNIT = f"""\
[Service]
Type=notify
WorkingDirectory=/
ExecStart={BIN}/twistd -n --pidfile= mailgateway --config /srv/trial/vendor.toml
"""
INBOX = """python3 -c '
import urllib.request
print(urllib.request.urlopen("http://127.0.0.1:8026/api/v1/sandbox/messages").read().decode())'"""
NOTHING_OF_THIS_MACHINE = (
    "rm -rf /opt/mailgateway /etc/mailgateway /var/lib/mailgateway /etc/systemd/system/mailgateway*"
)


@pytest.fixture(scope="module")
def machine(wheel, tmp_path_factory, needs):
    """A machine with systemd and a gateway, installed word for word; the settings are those that came with it."""
    needs(shutil.which("systemd-nspawn") is not None, "systemd-nspawn")
    needs(Path(PYTHON).exists(), "Debian's own Python")
    if reason := why_not():
        pytest.skip(reason)  # the one thing that no package brings
    shared = tmp_path_factory.mktemp("shared")
    download(wheel, shared / "wheels")
    (shared / "vendor.toml").write_text(VENDOR, "utf-8")
    for name in ("load.py", "trial_load.py", "trial_stop.py"):
        shutil.copy(HERE / name, shared / name)
    with booted(tmp_path_factory.mktemp("container"), shared) as one:
        one.run(NOTHING_OF_THIS_MACHINE)
        one.told(f"{PYTHON} -m venv /opt/mailgateway")
        one.told(f"{BIN}/pip install --quiet --no-index --find-links /srv/trial/wheels mailgateway")
        one.told(f"{BIN}/mailgateway install")
        yield one


def download(wheel, folder):
    """The wheel and all that it asks for, made for that Python."""
    version = subprocess.run([PYTHON, "-V"], check=True, capture_output=True, text=True).stdout.split()[1]
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", folder, wheel]
    command += ["--python-version", version, "--only-binary", ":all:"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def default(machine):
    """Started for the first time, with the settings that came with it."""
    machine.told(f"{BIN}/mailgateway check {SETTINGS_FILE}")
    machine.told("systemctl enable --now mailgateway")
    return machine


@pytest.fixture(scope="module")
def activated(default):
    """With the ports of mailgateway.socket, a key that only root may read, and a vendor that outlives restarts."""
    put(default, "/run/systemd/system/vendor.service", VENDOR_UNIT)
    put(default, SETTINGS_FILE, SETTINGS.format(listeners=PASSED))
    default.told("install -m 600 <(echo ps_test_from_systemd) /etc/mailgateway/postscale.key")
    drop_in(default, "key", "LoadCredential=postscale-key:/etc/mailgateway/postscale.key")
    default.told("systemctl start vendor; systemctl stop mailgateway")
    default.told("systemctl enable --now mailgateway.socket mailgateway")
    return default


def put(machine, path, text):
    machine.told(f"mkdir -p {Path(path).parent} && cat > {path} <<'END'\n{text}\nEND")


def drop_in(machine, name, *lines):
    put(machine, f"{DROP_IN}/{name}.conf", "\n".join(["[Service]", *lines]))
    machine.told("systemctl daemon-reload")


def shown(machine, name):
    return machine.told(f"systemctl show --value --property {name} mailgateway")


def processes(machine):
    """The ids of all processes of the service."""
    return machine.told(f"cat /sys/fs/cgroup{shown(machine, 'ControlGroup')}/cgroup.procs").split()


def journal(machine):
    told = machine.told("journalctl --quiet --output json --identifier mailgateway")
    return [json.loads(line) for line in told.splitlines()]


# -- as it comes


def test_it_is_ready_when_the_start_has_ended(default):
    assert shown(default, "ActiveState") == "active"
    assert shown(default, "StatusText").startswith("3 listeners")
    default.told("echo > /dev/tcp/127.0.0.1/2525")
    default.told("echo > /dev/tcp/127.0.0.1/8025")


def test_it_runs_as_nobody_else_and_may_do_nothing_else(default):
    status = dict(
        line.split(":\t", 1) for line in default.told(f"cat /proc/{shown(default, 'MainPID')}/status").splitlines()
    )
    assert status["Uid"].split() == [default.told("id -u mailgateway")] * 4
    assert int(status["CapBnd"], 16) == int(status["CapEff"], 16) == 1 << 10  # CAP_NET_BIND_SERVICE
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    default.told("systemd-analyze security --threshold=17 mailgateway.service")  # an exposure of 1.7


def test_nobody_else_can_look_into_its_folder(default):
    told = default.told("find /var/lib/mailgateway ! -user mailgateway -o -perm /077 ! -type s; echo end")
    assert told == "end"
    assert default.told("stat -c %a /etc/mailgateway /etc/mailgateway/gateway.toml").split() == ["755", "644"]


def test_an_environment_that_the_service_could_not_look_into_is_refused_before_anything_is_written(default):
    done = default.run(f"rm /etc/logrotate.d/mailgateway; {BIN}/mailgateway install --programs /home/ann/venv/bin")
    assert done.returncode == 1
    assert "cannot look into /home/ann/venv/bin" in done.stderr
    assert default.run("ls /etc/logrotate.d/mailgateway").returncode != 0


def test_an_environment_that_is_closed_to_the_service_is_told_by_the_install(default):
    done = default.run(f"chmod 700 /opt/mailgateway; {BIN}/mailgateway install; chmod 755 /opt/mailgateway")
    assert "Error: the user mailgateway cannot run it" in done.stderr


def test_an_upgrade_keeps_settings_and_store(default):
    before = default.told(f"sha256sum {SETTINGS_FILE}; ls -i /var/lib/mailgateway/store.sqlite")
    again = (
        f"{BIN}/pip install --quiet --no-index --find-links /srv/trial/wheels --no-deps --force-reinstall mailgateway"
    )
    default.told(f"{again} && {BIN}/mailgateway install && systemctl restart mailgateway")
    assert default.told(f"sha256sum {SETTINGS_FILE}; ls -i /var/lib/mailgateway/store.sqlite") == before


# -- with the ports that systemd holds


def test_a_restart_under_load_refuses_no_connection_and_loses_no_message(activated):
    seen = json.loads(activated.told("cd /srv/trial && python3 trial_load.py 2 systemctl restart mailgateway"))
    assert (seen["refused"], seen["faults"], seen["statuses"]) == ([], [], [0, 0])
    arrived = {one["request"]["json"]["subject"] for one in json.loads(activated.told(INBOX))}
    assert set(seen["taken"]) - arrived == set()


def test_a_reload_under_load_disturbs_nobody(activated):
    seen = json.loads(activated.told("cd /srv/trial && python3 trial_load.py 2 systemctl reload mailgateway"))
    assert (seen["refused"], seen["faults"], seen["statuses"]) == ([], [], [0, 0])


def test_a_reload_of_a_broken_file_fails_with_the_reason_and_changes_nothing(activated):
    main = shown(activated, "MainPID")
    activated.told(f"cp {SETTINGS_FILE} /tmp/good; echo nonsense = 1 >> {SETTINGS_FILE}")
    assert activated.run("systemctl reload mailgateway").returncode != 0
    activated.told(f"cp /tmp/good {SETTINGS_FILE}")
    assert "nonsense: unknown setting" in activated.told("journalctl --unit mailgateway --output cat --lines 20")
    assert (shown(activated, "ActiveState"), shown(activated, "MainPID")) == ("active", main)


def test_a_key_that_only_root_may_read_goes_in_by_systemd(activated):
    as_user = f"cd / && runuser -u mailgateway -- {BIN}/mailgateway"
    added = activated.told(f"{as_user} credentials add --config {SETTINGS_FILE} shop")
    password = re.search(r"password: +(\S+)", added)[1]
    sent = activated.told(
        f"export MAILGATEWAY_PASSWORD={password}; {as_user} send-test --port 587 --user shop"
        f" --certificate /var/lib/mailgateway/tls/certificate.pem --console http://127.0.0.1:8025"
        f" --token $(cat /var/lib/mailgateway/console-look.token)"
    )
    assert "relayed" in sent
    assert activated.run("runuser -u mailgateway -- cat /etc/mailgateway/postscale.key").returncode != 0


def test_the_journal_has_a_json_object_a_line_with_its_process_and_user(activated):
    lines = journal(activated)
    user = activated.told("id -u mailgateway")
    events = [one for one in lines if one["MESSAGE"].startswith("{")]
    attempted = [one for one in events if json.loads(one["MESSAGE"])["event"] == "attempted"]
    assert attempted
    assert {one["_UID"] for one in attempted} == {user}
    assert {one["_SYSTEMD_UNIT"] for one in attempted} == {"mailgateway.service"}


def test_what_an_operator_has_to_look_at_is_found_by_its_priority(activated):
    main = shown(activated, "MainPID")
    worker = next(one for one in processes(activated) if one != main)
    activated.told(f"kill -KILL {worker}")
    follow = "journalctl --follow --lines all --identifier mailgateway --priority err --output cat | head -1"
    assert json.loads(activated.told(f"timeout 60 bash -c '{follow}'"))["level"] == "critical"


def test_a_stuck_main_process_is_replaced_and_the_journal_says_where_it_was(activated):
    drop_in(activated, "watchdog", "WatchdogSec=4s")
    activated.told("systemctl restart mailgateway")
    main, restarts = shown(activated, "MainPID"), int(shown(activated, "NRestarts"))
    activated.told(f"kill -STOP {main}")
    replaced = f"until [ $(systemctl show --value -p NRestarts mailgateway) -gt {restarts} ]; do sleep 0.1; done"
    activated.told(f"timeout 60 bash -c '{replaced}'; systemctl start mailgateway")  # returns when it is ready
    assert shown(activated, "MainPID") != main
    told = [one["MESSAGE"] for one in journal(activated) if one["_PID"] == main]
    assert "Fatal Python error: Aborted" in told
    activated.told(f"rm {DROP_IN}/watchdog.conf; systemctl daemon-reload")


def test_a_stop_tells_who_is_there_and_ends_with_status_0(activated):
    talk = "exec 3<>/dev/tcp/127.0.0.1/587; head -1 <&3; systemctl stop mailgateway.socket mailgateway; cat <&3"
    greeting, last = activated.told(talk).splitlines()
    assert greeting.startswith("220 ")
    assert last.startswith("421 ")
    assert (shown(activated, "Result"), shown(activated, "ExecMainStatus")) == ("success", "0")
    assert shown(activated, "ActiveState") == "inactive"


def test_a_stop_waits_for_a_message_in_hand(activated):
    activated.told("systemctl start mailgateway.socket mailgateway")
    seen = json.loads(activated.told("cd /srv/trial && python3 trial_stop.py"))
    assert seen == {"replies": [250, 421], "status": 0}
    assert (shown(activated, "Result"), shown(activated, "ExecMainStatus")) == ("success", "0")


def test_one_worker_is_one_process(activated):
    activated.told(
        f"sed -i 's/^workers = 2/workers = 1/' {SETTINGS_FILE}; systemctl start mailgateway.socket mailgateway"
    )
    assert processes(activated) == [shown(activated, "MainPID")]


def test_a_log_in_a_file_is_set_up_and_rotated_as_the_rule_for_logrotate_says(activated, needs):
    needs(shutil.which("logrotate", path="/usr/sbin:/usr/bin") is not None, "logrotate")
    rule = "/etc/logrotate.d/mailgateway"
    file = activated.told(f"sed -n 's/^#   file = //p' {rule}").strip('"')
    drop_in(activated, "log", *activated.told(f"sed -n 's/^#   Logs/Logs/p' {rule}").splitlines())
    activated.told(f"sed -i 's#^format = .*#&\\nfile = \"{file}\"#' {SETTINGS_FILE}; systemctl restart mailgateway")
    activated.told(f"logrotate --force {rule} && systemctl reload mailgateway")
    assert '"event":"listening"' in activated.told(f"cat {file}.1")
    assert "reloaded" in [json.loads(one)["event"] for one in activated.told(f"cat {file}").splitlines()]
    activated.told("systemctl stop mailgateway.socket mailgateway")
