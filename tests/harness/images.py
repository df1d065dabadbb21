# SPDX-License-Identifier: Apache-2.0
"""Images for tests, as docker archives, made without a registry: the same bytes every time."""
import hashlib
import io
import json
import os
import subprocess
import tarfile

EPOCH = 1700000000
CREATED = "2023-11-14T22:13:20Z"
PATH_ENV = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PASSWD = """root:x:0:0:root:/root:/bin/sh
daemon:x:1:1:daemon:/usr/sbin:/bin/false
bin:x:2:2:bin:/bin:/bin/false
mail:x:8:8:mail:/var/spool/mail:/bin/false
www-data:x:33:33:www-data:/var/www:/bin/false
operator:x:37:37:Operator:/var:/bin/false
nobody:x:65534:65534:nobody:/home:/bin/false
"""
GROUP = """root:x:0:
daemon:x:1:
bin:x:2:
tty:x:5:
wheel:x:10:root
www-data:x:33:
operator:x:37:
users:x:100:
nogroup:x:65534:
"""
DIRS = ("bin dev etc home proc root run sbin sys tmp usr usr/bin usr/sbin usr/local usr/local/bin "
        "usr/local/sbin var var/spool var/spool/mail var/www").split()


class Layer:
    """A layer's tar, entry by entry."""

    def __init__(self):
        self.file = io.BytesIO()
        self.tar = tarfile.open(fileobj=self.file, mode="w", format=tarfile.PAX_FORMAT)

    def add(self, name, kind=tarfile.REGTYPE, data=b"", mode=0o644, uid=0, gid=0, link="", pax=None):
        entry = tarfile.TarInfo(name)
        entry.type, entry.mode, entry.uid, entry.gid = kind, mode, uid, gid
        entry.mtime, entry.linkname, entry.size = EPOCH, link, len(data)
        entry.pax_headers = pax or {}
        self.tar.addfile(entry, io.BytesIO(data))
        return self

    def directory(self, name, mode=0o755, **kw):
        return self.add(name, tarfile.DIRTYPE, mode=mode, **kw)

    def symlink(self, name, target):
        return self.add(name, tarfile.SYMTYPE, mode=0o777, link=target)

    def bytes(self):
        self.tar.close()
        return self.file.getvalue()


def busybox_path():
    for path in ("/bin/busybox", "/usr/bin/busybox"):
        if os.access(path, os.X_OK):
            return path
    raise RuntimeError("busybox-static is not installed (tools/deps)")


def busybox_layer():
    path = busybox_path()
    layer = Layer()
    for name in DIRS:
        layer.directory(name, {"tmp": 0o1777, "root": 0o700}.get(name, 0o755))
    with open(path, "rb") as f:
        layer.add("bin/busybox", data=f.read(), mode=0o755)
    applets = subprocess.run([path, "--list"], capture_output=True, text=True, check=True).stdout
    for applet in sorted(set(applets.split()) - {"busybox"}):
        layer.add("bin/" + applet, tarfile.LNKTYPE, mode=0o755, link="bin/busybox")
    layer.symlink("usr/bin/env", "../../bin/env")
    layer.add("etc/passwd", data=PASSWD.encode())
    layer.add("etc/group", data=GROUP.encode())
    layer.add("etc/shadow", data=b"root::::::::\n", mode=0o600)
    return layer.bytes()


def image_config(layers, config, tag):
    full = {"Env": [PATH_ENV]}
    full.update(config)
    return json.dumps({
        "architecture": "arm64" if os.uname().machine == "aarch64" else "amd64",
        "os": "linux", "created": CREATED, "config": full,
        "rootfs": {"type": "layers",
                   "diff_ids": ["sha256:" + hashlib.sha256(l).hexdigest() for l in layers]},
        "history": [{"created": CREATED, "created_by": "tests %s %d" % (tag, n)}
                    for n, _ in enumerate(layers)],
    }, sort_keys=True).encode()


def archive(images):
    """A docker archive (what `docker load` reads) of [(tags, layers, config)]."""
    out = io.BytesIO()
    tar = tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT)
    manifest, written = [], set()

    def put(name, data):
        if name in written:
            return
        written.add(name)
        entry = tarfile.TarInfo(name)
        entry.mtime, entry.size, entry.mode = EPOCH, len(data), 0o644
        tar.addfile(entry, io.BytesIO(data))

    for tags, layers, config in images:
        document = image_config(layers, config, tags[0] if tags else "untagged")
        names = []
        for layer in layers:
            names.append(hashlib.sha256(layer).hexdigest() + "/layer.tar")
            put(names[-1], layer)
        name = hashlib.sha256(document).hexdigest() + ".json"
        put(name, document)
        manifest.append({"Config": name, "RepoTags": list(tags), "Layers": names})
    put("manifest.json", json.dumps(manifest).encode())
    tar.close()
    return out.getvalue()


def busybox_archive():
    """busybox:latest, busybox:1 and alpine:latest (the same files, an image of its own each)."""
    layer = busybox_layer()
    return archive([([tag], [layer], {"Cmd": ["sh"], "Labels": None})
                    for tag in ("busybox:latest",)] +
                   [(["busybox:1"], [layer], {"Cmd": ["sh", "-c", "exec sh"]}),
                    (["alpine:latest"], [layer], {"Cmd": ["/bin/sh"]}),
                    (["hello-world:latest"], [layer], {"Cmd": ["echo", "Hello from Docker!"]})])


def cached_busybox(cache):
    """Path of the archive under `cache`; made when it is not there or busybox has changed."""
    with open(busybox_path(), "rb") as f:
        version = hashlib.sha256(f.read()).hexdigest()[:12]
    with open(__file__, "rb") as f:
        version += hashlib.sha256(f.read()).hexdigest()[:6]
    path = os.path.join(cache, "busybox-%s.tar" % version)
    if not os.path.exists(path):
        os.makedirs(cache, exist_ok=True)
        with open("%s.%d" % (path, os.getpid()), "wb") as f:
            f.write(busybox_archive())
        os.rename(f.name, path)
    return path
