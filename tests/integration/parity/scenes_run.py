# SPDX-License-Identifier: Apache-2.0
"""docker run and create: what the flags do inside, and what wrong values are answered with."""
from .drive import scene


@scene()
def exit_codes(s):
    s("run --rm busybox true")
    s("run --rm busybox false")
    s("run --rm busybox sh -c 'exit 42'")
    s("run --rm busybox sh -c 'kill -9 $$'")
    s("run --rm busybox sh -c 'kill -TERM $$'")
    s("run --rm busybox nosuchprogram")
    s("run --rm busybox /no/such/program")
    s("run --rm busybox /etc/passwd")
    s("run --rm busybox /etc")
    s("run --rm busybox ''")
    s("run --rm --entrypoint /nosuch busybox true")
    s("run --rm -w /etc/passwd busybox true")
    s("run --rm -u nosuch busybox true")
    s("run --nosuchflag busybox true")
    s("run")
    s("run -d busybox nosuchprogram", extra=[("^[0-9a-f]{64}\n", "<id>\n")])
    s("run --name failed busybox nosuchprogram")
    s("ps -a --filter name=failed --format '{{.Names}} {{.Status}}'")
    s("inspect failed --format '{{json .State}}'")
    s("start failed")
    s("start -a failed")
    s("wait failed")
    s("logs failed")
    s("rm failed")


@scene()
def output(s):
    s("run --rm busybox sh -c 'echo out; echo err >&2'")
    s("run --rm -a stdout busybox sh -c 'echo out; echo err >&2'")
    s("run --rm -a stderr busybox sh -c 'echo out; echo err >&2'")
    s("run --rm -i busybox cat", stdin="hello\n")
    s("run --rm -i busybox sh -c 'wc -c'", stdin="x" * 200000)
    s("run --rm busybox cat", stdin="not attached")
    s("run --rm -a stdin -i busybox cat", stdin="only stdin\n")
    s("run --rm busybox sh -c 'seq 1 20000 | tail -n 1'")
    s("run --rm busybox printf 'no newline'")
    s("run --rm busybox printf '\\000\\001\\377'")
    s("run -t --rm busybox sh -c 'tty; stty size; echo out; echo err >&2'")
    s("run -it --rm busybox true", stdin="")
    s.terminal("run --rm -it busybox sh", [("# ", "echo $TERM; tty\n"), ("/dev/pts/0\r\n/ # ", "exit 3\n")],
               extra=[(r"\x1b\[[0-9;]*[a-zA-Z]", "")])
    s.terminal("run --rm -t busybox sh -c 'test -t 0 && echo terminal'")
    s.terminal("run --rm -it busybox cat", [("", "typed\n"), ("typed\r\ntyped", "\x04")])
    s.terminal("run -it --name detached busybox sh", [("# ", "\x10\x11")],
               extra=[(r"\x1b\[[0-9;]*[a-zA-Z]", "")])
    s("ps --filter name=detached --format '{{.Names}}'")
    s("run --rm --log-driver none busybox echo seen")
    s("run --name nolog --log-driver none busybox echo seen")
    s("logs nolog")


@scene()
def environment(s):
    s.file("env.list", "FROMFILE=1\n# comment\nHOME_DIR=/x y\nUNSET_ON_HOST\n\nEMPTY=\n")
    s.file("bad.list", "A B=c\n")
    s("run --rm -h box busybox env", sort=True)
    s("run --rm -h box -e A=b -e EMPTY= -e PATH=/bin -e NOSUCHVARIABLE busybox env", sort=True)
    s("run --rm -h box --env-file @work@/env.list busybox env", sort=True)
    s("run --rm --env-file @work@/bad.list busybox env", sort=True)
    s("run --rm --env-file @work@/nosuch busybox env", sort=True)
    s("run --rm -h box -t busybox env", sort=True)
    s("run --rm -h box -e TERM=dumb -t busybox env", sort=True)
    s("run --rm -h box -e HOME=/elsewhere -u daemon busybox env", sort=True)
    s("run --rm -h box -u 12345 busybox env", sort=True)
    s("run --rm -e =bad busybox env", sort=True)
    s("create -e '' busybox env")


@scene()
def names_and_files(s):
    s("run --rm -h box busybox hostname")
    s("run --rm -h box --domainname example.org busybox sh -c 'hostname; cat /proc/sys/kernel/domainname; cat /etc/hostname'")
    s("run --rm -h box.example.org busybox sh -c 'hostname; cat /etc/hosts'")
    s("run --rm --network none -h box --add-host a:1.2.3.4 --add-host b:::1 busybox cat /etc/hosts")
    s("run --rm --add-host bad busybox true")
    s("run --rm --add-host a:1.2.3 busybox true")
    s("run --rm --dns 1.2.3.4 --dns-search example.org --dns-option ndots:3 busybox cat /etc/resolv.conf")
    s("run --rm --dns 1.2.3 busybox true")
    s("run --rm --dns-search 'bad domain' busybox true")
    s("run --rm -h 'bad host' busybox true")
    s("run --rm -h -bad busybox true")
    s("run --rm -h box busybox sh -c 'stat -c \"%n %a %u:%g\" /etc/hosts /etc/hostname /etc/resolv.conf'")
    s("run --rm busybox sh -c 'echo 9.9.9.9 added >>/etc/hosts && tail -n1 /etc/hosts'")
    s("run --rm --read-only busybox sh -c 'echo x >/etc/hosts; echo x >/x; echo x >/dev/shm/x && echo ok'")
    s("run --name 'bad name' busybox true")
    s("run --name -bad busybox true")
    s("run --name ca busybox true")
    s("run --name dup busybox true")
    s("run --name dup busybox true")
    s("run --cidfile @work@/cid --name withcid busybox true")
    s("run --cidfile @work@/cid busybox true")


@scene()
def users(s):
    show = "sh -c 'id; pwd; echo $HOME'"
    for user in ("root", "daemon", "1", "1:1", "daemon:www-data", "12345", "12345:54321", ":33", "nobody",
                 "0:0", "daemon:", "4294967296", "-1", "nosuch", "daemon:nosuch", "1000000:1000000", "a:b:c"):
        s("run --rm -u '%s' busybox %s" % (user, show))
    s("run --rm --group-add www-data --group-add 777 busybox id")
    s("run --rm -u daemon --group-add www-data busybox id")
    s("run --rm --group-add nosuch busybox id")
    s("run --rm -u daemon busybox sh -c 'echo x >/x'")
    s("run --rm -u daemon busybox sh -c 'echo x >/tmp/x && stat -c %u:%g /tmp/x'")
    s("run --rm -u daemon busybox sh -c 'echo to stdout >/dev/stdout; echo to stderr >/dev/stderr'")
    s("run --rm -u daemon -t busybox sh -c 'echo to stdout >/dev/stdout; stat -c %u $(tty)'")
    s("run --rm busybox su daemon -s /bin/sh -c id")
    s("run --rm busybox sh -c 'chown 1000:1000 /tmp; stat -c %u:%g /tmp'")
    s("run --rm busybox sh -c 'cat /proc/self/status | grep -E \"^(Uid|Gid|Groups|Cap|NoNew|Seccomp)\"'")
    s("run --rm -u daemon busybox sh -c 'grep -E \"^(Uid|Gid|Groups|Cap|NoNew|Seccomp)\" /proc/self/status'")


@scene()
def working_directory(s):
    s("run --rm -w /tmp busybox pwd")
    s("run --rm -w /made/on/the/way busybox sh -c 'pwd; stat -c \"%a %u:%g\" /made .'")
    s("run --rm -w relative busybox pwd")
    s("run --rm -w /a/../tmp busybox pwd")
    s("run --rm -u daemon -w /made busybox sh -c 'pwd; stat -c %u:%g .'")
    s("run --rm -u daemon -w /root busybox pwd")
    s("run --rm -w /bin/sh busybox pwd")
    s("run --rm --read-only -w /made busybox pwd")


@scene()
def commands(s):
    s("run --rm busybox")
    s("run --rm --entrypoint echo busybox a b")
    s("run --rm --entrypoint '' busybox echo x")
    s("run --rm --entrypoint '' busybox")
    s("run --rm --entrypoint 'echo x' busybox")
    s("run --rm hello-world")
    s("run --rm hello-world echo other")
    s("run --rm busybox:1", stdin="")
    s("run --rm busybox echo 'two words' '' \"it's\" '$HOME'")
    s("run --rm nosuchimage true", extra=[(r"(?s)(docker: )?Error response from daemon: .*", "<pull failed>\n")])
    s("run --rm --pull never nosuchimage true")
    s("run --rm --pull sometimes busybox true")
    s("run --rm 'BAD Image' true")
    s("run --rm busybox@sha256:1234 true")
    s("run --rm --platform linux/nosuch busybox true", extra=[(r"(?s)docker: .*", "<wrong platform>\n")])
    s("run --rm --init busybox sh -c 'ps -o args'", extra=[(r"/sbin/(docker|fence)-init", "<init>")])
    s("run --rm --init busybox sh -c 'exit 5'")
    s("run --rm --init busybox nosuch", extra=[(r"\(\d+\)", "(<pid>)")])
    s("run --rm busybox sh -c 'ps -o pid,args'")
    s("run --rm --pid host busybox sh -c 'test $$ -gt 1 && echo host pid'")
    s("run --rm --uts host --hostname x busybox hostname")
    s("run --rm --runtime nosuch busybox true")
    s("run --rm --isolation hyperv busybox true")


@scene()
def limits(s):
    group = "sh -c 'cd /sys/fs/cgroup; for f in $*; do cat $f; done' -- "
    s("run --rm -m 64m busybox %s memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes" % group)
    s("run --rm -m 64m --memory-swap 128m --memory-reservation 32m busybox %s memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes memory/memory.soft_limit_in_bytes" % group)
    s("run --rm -m 64m --memory-swap -1 busybox %s memory/memory.memsw.limit_in_bytes" % group)
    s("run --rm -m 64m --memory-swappiness 10 busybox %s memory/memory.swappiness" % group)
    s("run --rm --oom-kill-disable -m 64m busybox %s memory/memory.oom_control" % group,
      extra=[(r"oom_kill \d+", "oom_kill N")])
    s("run --rm --cpus 0.5 busybox %s cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us" % group)
    s("run --rm -c 512 busybox %s cpu/cpu.shares" % group)
    s("run --rm --cpu-period 50000 --cpu-quota 10000 busybox %s cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us" % group)
    s("run --rm --cpuset-cpus 0 --cpuset-mems 0 busybox %s cpuset/cpuset.cpus cpuset/cpuset.mems" % group)
    s("run --rm --pids-limit 17 busybox %s pids/pids.max" % group)
    s("run --rm --pids-limit -1 busybox %s pids/pids.max" % group)
    s("run --rm --blkio-weight 300 busybox true")
    s("run --rm --ulimit nofile=100:200 --ulimit nproc=50 busybox sh -c 'ulimit -Sn; ulimit -Hn; ulimit -p'")
    s("run --rm --shm-size 32m busybox sh -c 'df -k /dev/shm | tail -n 1'")
    s("run --rm --oom-score-adj 500 busybox cat /proc/self/oom_score_adj")
    s("run --rm --sysctl net.ipv4.ip_forward=0 --sysctl kernel.msgmax=9000 busybox sh -c 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax'")
    s("run --name oom -m 16m --memory-swap 16m busybox sh -c 'x=a; while :; do x=$x$x; done'")
    s("inspect oom --format '{{.State.OOMKilled}} {{.State.ExitCode}}'")
    s("run --rm --pids-limit 5 busybox sh -c 'for i in 1 2 3 4 5 6 7 8; do sleep 2 & done; wait' ",
      extra=[(r"(?s).+", "<fork failed>")])


@scene()
def bad_limits(s):
    for flag in ("-m 1m", "-m 5k", "-m x", "-m -5m", "--memory-swap 10m", "-m 64m --memory-swap 32m",
                 "-m 32m --memory-reservation 64m", "--memory-reservation 1k", "--memory-swappiness 200",
                 "--memory-swappiness -5", "--kernel-memory 1m", "--cpus 100", "--cpus -1", "--cpus x",
                 "--cpus 0.001", "--cpu-shares -1", "--cpu-shares 1", "--cpu-period 1", "--cpu-quota 1",
                 "--cpus 1 --cpu-period 1000", "--cpus 1 --cpu-quota 1000", "--cpuset-cpus 99",
                 "--cpuset-cpus x", "--cpuset-mems 9", "--pids-limit -2", "--pids-limit x", "--blkio-weight 5",
                 "--blkio-weight 5000", "--blkio-weight-device /nosuch:100", "--blkio-weight-device bad",
                 "--device-read-bps /nosuch:1mb", "--device-read-bps bad", "--device-write-iops /dev/null:-1",
                 "--ulimit nosuch=1", "--ulimit nofile=10:5", "--ulimit nofile=x", "--ulimit nofile",
                 "--shm-size -1", "--shm-size 0", "--shm-size x", "--oom-score-adj 2000", "--oom-score-adj -2000",
                 "--sysctl bad", "--sysctl nosuch.key=1", "--sysctl kernel.hostname=x",
                 "--sysctl net.ipv4.nosuch=1", "--cpu-rt-period 1 --cpu-rt-runtime 5", "--cpu-count 2",
                 "--cpu-percent 50", "--io-maxbandwidth 1m", "--storage-opt size=1G", "--storage-opt bad"):
        s("run --rm %s busybox true" % flag)


@scene()
def bad_flags(s):
    for flag in ("--cap-add NOSUCH", "--cap-drop NOSUCH", "--security-opt nosuch", "--security-opt nosuch=1",
                 "--security-opt seccomp=/nosuch", "--security-opt seccomp=", "--security-opt apparmor=nosuch",
                 "--security-opt label:x:y", "--security-opt no-new-privileges:maybe", "--security-opt systempaths=x",
                 "--device /nosuch", "--device /dev/null:relative", "--device /dev/null:/dev/x:q",
                 "--device-cgroup-rule bad", "--device-cgroup-rule 'c 1:3 q'", "--tmpfs relative",
                 "--tmpfs /t:nosuchoption", "--tmpfs /t:size=bad", "--restart sometimes", "--restart always:5",
                 "--restart on-failure:x", "--restart on-failure:-1", "--restart always --rm",
                 "--stop-signal NOSUCH", "--stop-timeout x", "--network nosuchnetwork", "--network container:nosuch",
                 "--network host --hostname x", "--network container:nosuch --hostname x", "--network none -p 80",
                 "--ipc nosuch", "--ipc container:nosuch", "--pid nosuch", "--pid container:nosuch", "--uts nosuch",
                 "--userns nosuch", "--cgroupns nosuch", "--ipc none", "--ipc private", "--ipc host --shm-size 1m",
                 "--link nosuch:x", "--volumes-from nosuch", "--volumes-from nosuch:zz",
                 "--log-driver nosuch", "--log-opt nosuch=1", "--log-opt max-size=x", "--log-opt max-file=0",
                 "--log-opt max-file=x", "--log-opt mode=bad", "--label-file /nosuch", "--label ''",
                 "--mac-address bad", "--ip 1.2.3.4", "--expose bad", "--expose 99999", "-p bad",
                 "--health-cmd x --no-healthcheck", "--health-interval 1", "--health-interval 1us --health-cmd x",
                 "--health-retries -1 --health-cmd x", "--health-timeout -1s --health-cmd x",
                 "--cgroup-parent ../../x", "--detach-keys bad-key", "-a nosuch", "-d --rm -a stdout",
                 "--gpus all", "--privileged --cap-add NOSUCH"):
        s("run --rm %s busybox true" % flag)


@scene()
def security(s):
    caps = "sh -c 'grep -E \"^(Cap|NoNew|Seccomp:)\" /proc/self/status'"
    s("run --rm busybox %s" % caps)
    s("run --rm --cap-drop all busybox %s" % caps)
    s("run --rm --cap-add NET_ADMIN --cap-drop CHOWN busybox %s" % caps)
    s("run --rm --cap-drop ALL --cap-add CAP_NET_RAW busybox %s" % caps)
    s("run --rm --cap-add sys_ptrace busybox %s" % caps)
    s("run --rm --cap-add ALL --cap-drop NET_RAW busybox %s" % caps)
    s("run --rm --security-opt no-new-privileges busybox %s" % caps)
    s("run --rm --security-opt seccomp=unconfined busybox %s" % caps)
    s("run --rm --privileged busybox %s" % caps)
    s("run --rm --privileged busybox sh -c 'mount -t tmpfs x /mnt 2>&1; mkdir -p /m && mount -t tmpfs x /m && echo mounted'")
    s("run --rm busybox mount -t tmpfs x /tmp")
    s("run --rm --cap-add SYS_ADMIN busybox sh -c 'mount -t tmpfs x /tmp && echo mounted'")
    s("run --rm busybox sh -c 'ls -l /dev | awk \"NR>1{print \\$1,\\$NF}\"'")
    s("run --rm busybox sh -c 'mknod /tmp/null c 1 3 && echo made'")
    s("run --rm busybox sh -c 'mknod /tmp/sda b 8 0 && cat /tmp/sda'")
    s("run --rm --device /dev/null:/dev/other busybox sh -c 'echo x >/dev/other && ls -l /dev/other | cut -c1-10'")
    s("run --rm --device /dev/null:/dev/other:r busybox sh -c 'echo x >/dev/other'")
    s("run --rm --device-cgroup-rule 'c 1:3 rwm' busybox true")
    s("run --rm busybox sh -c 'cat /proc/kcore; ls /proc/acpi; echo x >/proc/sys/kernel/hostname'",
      extra=[(r"(?m)^ls: .*\n", "")])
    s("run --rm --security-opt systempaths=unconfined busybox sh -c 'grep -c /proc/ /proc/mounts'")
    s("run --rm busybox sh -c 'hostname x'")
    s("run --rm busybox sh -c 'date -s 2020-01-01'", extra=[(r"(?m)^\w{3} \w{3}.*\n", "")])
    s("run --rm busybox sh -c 'unshare -U true'")
    s("run --rm busybox sh -c 'dmesg | head -n 1'", extra=[(r"(?s)^.*\[.*", "<log>")])
    s("run --rm busybox sh -c 'ls /sys/fs/cgroup | head -n 40'", sort=True)
    s("run --rm busybox sh -c 'awk \"{print \\$2,\\$3,\\$4}\" /proc/mounts'",
      extra=[(r"(?m)^/ overlay .*$", "/ overlay"), (r",inode64", ""), (r"(?m)^/sys/fs/cgroup/.*\n", ""),
             (r"(?m)^(/etc/\S+) .*$", r"\1"), (r"(,[ug]id=\d{6,})+", ",<mapped ids>")], sort=True)
    s("run --rm --privileged busybox sh -c 'awk \"{print \\$2,\\$3,\\$4}\" /proc/mounts | grep -v /dev/'",
      extra=[(r"(?m)^/ overlay .*$", "/ overlay"), (r",inode64", ""), (r"(?m)^/sys/.*\n", ""),
             (r"(?m)^(/etc/\S+) .*$", r"\1")], sort=True)
    s("run --rm --read-only --tmpfs /run:size=1m,mode=700 busybox sh -c 'touch /x; touch /run/x && stat -c %a /run'")
    s("run --rm --ipc host busybox true")
    s("run --rm --ipc none busybox sh -c 'ls -d /dev/shm /dev/mqueue'")
    s("run -d --name target --ipc shareable busybox sleep 1000")
    s("run --rm --ipc container:target --pid container:target --network container:target busybox sh -c 'ps -o pid,args | grep sleep | head -n 1; hostname'")
    s("run -d --name private busybox sleep 1000")
    s("run --rm --ipc container:private busybox true")
    s("kill target private")
    s("run --rm --network container:target busybox true")


@scene()
def mounts(s):
    s.file("data/file", "content\n", 0o640)
    look = "sh -c 'ls -ln /m | tail -n +2 | awk \"{print \\$1,\\$3,\\$4,\\$5,\\$9}\"; cat /m/file'"
    s("run --rm -v @work@/data:/m busybox %s" % look)
    s("run --rm -v @work@/data:/m:ro busybox sh -c 'echo x >/m/y'")
    s("run --rm -v @work@/data:/m busybox sh -c 'echo made >/m/made && stat -c %u:%g /m/made'")
    s("run --rm -v @work@/data/file:/etc/passwd:ro busybox cat /etc/passwd")
    s("run --rm -v @work@/newdir:/m busybox stat -c '%a %u:%g' /m")
    s("run --rm -v @work@/data:/m:nosuch busybox true")
    s("run --rm -v @work@/data:/m:ro,rw busybox true")
    s("run --rm -v relative/path:/m busybox true")
    s("run --rm -v @work@/data:relative busybox true")
    s("run --rm -v @work@/data:/ busybox true")
    s("run --rm -v /a:/b:/c:/d busybox true")
    s("run --rm -v '' busybox true")
    s("run --rm -v 'bad volume:/m' busybox true")
    s("run --rm -v named:/m busybox sh -c 'echo kept >/m/x'")
    s("run --rm -v named:/m busybox cat /m/x")
    s("run --rm -v named:/etc busybox sh -c 'ls /etc'")
    s("run --rm -v fresh:/bin busybox sh -c 'ls /bin | wc -l'")
    s("run --rm -v nocopy:/var:nocopy busybox sh -c 'ls /var | wc -l'")
    s("run --name anonymous -v /anon -v named:/n busybox sh -c 'echo 1 >/anon/a'")
    s("inspect anonymous --format '{{json .Mounts}}'")
    s("run --rm --volumes-from anonymous busybox sh -c 'cat /anon/a; ls /n'")
    s("run --rm --volumes-from anonymous:ro busybox sh -c 'echo x >/anon/b'")
    s("volume ls --format '{{.Driver}} {{.Name}}'", sort=True)
    s("rm -v anonymous")
    s("volume ls -q", sort=True)
    s("run --rm --mount type=bind,src=@work@/data,dst=/m,readonly busybox %s" % look)
    s("run --rm --mount type=bind,src=@work@/nosuch,dst=/m busybox true")
    s("run --rm --mount type=bind,src=relative,dst=/m busybox true")
    s("run --rm --mount type=volume,src=vol,dst=/m busybox true")
    s("run --rm --mount type=volume,dst=/m,volume-opt=a=b busybox true")
    s("run --rm --mount type=volume,src=vol2,dst=/m,volume-label=a=b,volume-nocopy busybox true")
    s("run --rm --mount type=tmpfs,dst=/m,tmpfs-size=1m,tmpfs-mode=700 busybox sh -c 'stat -c %a /m; df -k /m | tail -n 1'")
    s("run --rm --mount type=tmpfs,src=x,dst=/m busybox true")
    s("run --rm --mount type=nosuch,dst=/m busybox true")
    s("run --rm --mount type=bind,src=/tmp busybox true")
    s("run --rm --mount type=bind,dst=/m busybox true")
    s("run --rm --mount bad busybox true")
    s("run --rm --mount type=bind,src=@work@/data,dst=/m,bind-propagation=nosuch busybox true")
    s("run --rm --mount type=bind,src=@work@/data,dst=/m,bind-propagation=rslave busybox true")
    s("run --rm -v @work@/data:/m --mount type=bind,src=/tmp,dst=/m busybox true")
    s("run --rm -v @work@/data:/m -v /tmp:/m busybox true")
    s("run --rm --tmpfs /m -v /tmp:/m busybox true")
    s("run --rm --tmpfs /m:size=2m busybox sh -c 'df -k /m | tail -n 1; stat -c %a /m'")
    s("run --rm --tmpfs /tmp busybox stat -c %a /tmp")
    s("run --rm -v @work@/data:/a/b/c busybox sh -c 'ls /a/b/c; stat -c \"%a %u:%g\" /a'")


@scene()
def creates(s):
    s("create --name cc busybox echo created")
    s("ps -a --format '{{.Names}} {{.Status}} {{.Command}}'")
    s("start -a cc")
    s("start -ai cc", stdin="")
    s("start cc nosuch")
    s("start nosuch")
    s("start -a cc nosuch")
    s("create busybox")
    s("create nosuchimage", extra=[(r"(?s)Error response from daemon: .*", "<pull failed>\n")])
    s("create --rm --name cr busybox true")
    s("start -a cr")
    s("ps -aq --filter name=^/cr$")
    s("create -i --name in busybox cat")
    s("start -ai in", stdin="through start\n")
    s("create --label a=1 --label b --label c=x=y --name cl busybox true")
    s("inspect cl --format '{{json .Config.Labels}}'")
    s("create --expose 80 --expose 90-92/udp --name ce busybox true")
    s("inspect ce --format '{{json .Config.ExposedPorts}}'")
    s("create --link cc:alias --name ck busybox true")
    s("create --network none --name cn busybox true")
    s("inspect cn --format '{{.HostConfig.NetworkMode}}'")
    s("create --cpu-rt-runtime 5 --name rt busybox true")
    s("create --name bw --blkio-weight 100 busybox true")
    s("create --name swap --memory 32m --memory-swappiness 0 busybox true")
