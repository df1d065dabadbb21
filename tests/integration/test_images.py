# SPDX-License-Identifier: Apache-2.0
"""Local images: load, save, tag, remove, import, export, commit, history, prune; hostile archives."""
import glob
import hashlib
import io
import json
import os
import shutil
import tarfile

import pytest

from harness import images
from harness.api import Api
from harness.wait import until

TAR = {"Content-Type": "application/x-tar"}


def load(api, data):
    return api.request("POST", "/images/load", data, TAR)


def small(api, *tags, config=None, **files):
    """An image on a layer of its own; its id."""
    layer = images.Layer()
    for name, data in files.items():
        layer.add(name, data=data)
    data = layer.bytes()
    answer = load(api, images.archive([(tags, [data], config or {})]))
    assert answer.status == 200 and not [l for l in answer.lines if "error" in l], answer.body
    document = images.image_config([data], config or {}, tags[0] if tags else "untagged")
    return "sha256:" + hashlib.sha256(document).hexdigest()


def test_load_keeps_the_id(api):
    iid = small(api, "small:1", f=b"data")
    image = api.get("/images/small:1/json")
    assert image["Id"] == iid and image["RepoTags"] == ["small:1"]
    assert image["Created"] == images.CREATED
    assert len(image["RootFS"]["Layers"]) == 1


def test_load_from_a_client_that_reads_nothing_yet(api):
    """More lines of progress than a socket holds: they are left out, the archive is not."""
    tail = images.Layer()
    tail.add("tail", data=os.urandom(2 << 20))
    layers = []
    for n in range(360):
        layer = images.Layer()
        layer.add("n", data=b"%d" % n)
        layers.append(layer.bytes())
    parts = [layers[n:n + 60] for n in range(0, len(layers), 60)]
    parts.append([tail.bytes()])
    answer = load(api, images.archive([(["many:%d" % n], part, {}) for n, part in enumerate(parts)]))
    assert answer.status == 200 and not [l for l in answer.lines if "error" in l], answer.body[-500:]
    assert {"stream": "Loaded image: many:6\n"} in answer.lines


def test_list_and_filters(api):
    iid = small(api, "repo/name:tag", config={"Labels": {"k": "v"}}, f=b"x")
    found = [i for i in api.get("/images/json") if i["Id"] == iid][0]
    assert found["RepoTags"] == ["repo/name:tag"] and found["Size"] > 0
    for filters in ({"reference": ["repo/*"]}, {"label": ["k=v"]}, {"reference": ["repo/name:tag"]}):
        assert iid in {i["Id"] for i in api.get("/images/json", filters=filters)}, filters
    assert iid not in {i["Id"] for i in api.get("/images/json", filters={"label": ["k=w"]})}


def test_tag_and_remove(api):
    iid = small(api, "first:1", f=b"t")
    assert api.request("POST", "/images/first:1/tag", repo="second", tag="2").status == 201
    assert sorted(api.get("/images/second:2/json")["RepoTags"]) == ["first:1", "second:2"]
    assert api.ok("DELETE", "/images/first:1").json == [{"Untagged": "first:1"}]
    out = api.ok("DELETE", "/images/second:2").json
    assert out[0] == {"Untagged": "second:2"} and {"Deleted": iid} in out
    assert api.request("GET", "/images/%s/json" % iid).status == 404
    assert api.request("POST", "/images/busybox/tag", repo="UPPER").status == 400


def test_remove_one_platform(api, fence, docker_cli):
    """An image has one platform: another one's name does not remove it."""
    arch = api.get("/images/busybox/json")["Architecture"]
    for cli in (fence, docker_cli):
        iid = small(api, "platform:1", f=b"p")
        r = cli("rmi", "--platform", "linux/other", "platform:1")
        assert r.returncode == 1 and "platform" in r.stderr
        assert api.get("/images/platform:1/json")["Id"] == iid
        assert "Untagged: platform:1" in cli.ok("rmi", "--platform", "linux/" + arch, "platform:1")
    a = api.request("DELETE", "/images/busybox", platforms="{")
    assert a.status == 400


def test_image_in_use(api):
    iid = small(api, "used:1", f=b"u")
    cid = api.create("used:1", ["x"])
    a = api.request("DELETE", "/images/" + iid)
    assert a.status == 409 and cid[:12] in a.message
    api.remove(cid)
    assert api.request("DELETE", "/images/" + iid).status == 200


def test_unknown(api):
    a = api.request("GET", "/images/nosuch/json")
    assert a.status == 404 and a.message == "No such image: nosuch:latest"
    a = api.request("POST", "/containers/create", {"Image": "nosuch"})
    assert a.status == 404 and a.message == "No such image: nosuch:latest"


def test_save_and_load_again(api):
    iid = small(api, "kept:1", config={"Env": ["A=b"], "Cmd": ["x"]}, f=b"kept")
    data = api.ok("GET", "/images/kept:1/get").body
    assert data == api.ok("GET", "/images/kept:1/get").body, "not the same bytes twice"
    api.ok("DELETE", "/images/kept:1")
    assert load(api, data).status == 200
    image = api.get("/images/kept:1/json")
    assert image["Id"] == iid and "A=b" in image["Config"]["Env"]


def test_parents_in_an_archive(api):
    """Images that are saved together find each other again; one alone has no parent."""
    def commit(image, tag):
        cid = api.create(image, ["touch", "/" + tag])
        return api.ok("POST", "/commit", container=cid, repo="family", tag=tag).json["Id"], cid

    first, a = commit("busybox", "1")
    second, b = commit("family:1", "2")
    api.remove(a), api.remove(b)
    both = api.ok("GET", "/images/get?names=family:1&names=family:2").body
    alone = api.ok("GET", "/images/family:2/get").body
    api.ok("DELETE", "/images/family:2")
    api.ok("DELETE", "/images/family:1")
    load(api, alone)
    assert api.get("/images/family:2/json")["Parent"] == ""
    load(api, both) # completes what is there
    assert api.get("/images/family:2/json")["Parent"] == first
    assert [h["Id"] for h in api.get("/images/family:2/history")][:2] == [second, first]
    assert "dependent child images" in api.request("DELETE", "/images/" + first).message
    assert api.ok("DELETE", "/images/family:1").json == [{"Untagged": "family:1"}]
    out = api.ok("DELETE", "/images/family:2").json
    assert {"Deleted": first} in out and {"Deleted": second} in out


def test_save_of_a_layer_that_is_gone(api, daemon):
    """What fails before the first byte is out has a status, and the connection goes on."""
    before = set(os.listdir(daemon.data_root + "/layers"))
    small(api, "gone:1", f=b"to be lost")
    for name in set(os.listdir(daemon.data_root + "/layers")) - before:
        shutil.rmtree("%s/layers/%s/diff" % (daemon.data_root, name))
    for blob in glob.glob(daemon.data_root + "/blobs/sha256/*"):
        with open(blob, "rb") as f:
            if b"to be lost" in f.read():
                os.unlink(blob)
    c, r = api.open("GET", "/images/gone:1/get")
    assert r.status == 500 and json.loads(r.read())["message"]
    c.request("GET", "/_ping")
    assert c.getresponse().status == 200
    c.close()


def test_save_several(api):
    small(api, "one:1", f=b"1")
    small(api, "two:1", f=b"2")
    data = api.ok("GET", "/images/get?names=one:1&names=two:1").body
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        manifest = json.load(tar.extractfile("manifest.json"))
    assert {t for m in manifest for t in m["RepoTags"]} == {"one:1", "two:1"}


def test_history(api):
    rows = api.get("/images/busybox/history")
    assert rows[0]["Id"] == api.get("/images/busybox/json")["Id"] and rows[0]["Size"] > 0


def test_import_and_export(cli, api, tmp_path):
    cid = api.create(cmd=["true"], name="source")
    out = tmp_path / "root.tar"
    cli.ok("export", "-o", str(out), "source")
    iid = cli.ok("import", "--change", 'CMD ["echo","imported"]', "--message", "note", str(out),
                 "imported:1").strip()
    assert iid.startswith("sha256:")
    assert api.output(None, image="imported:1") == (0, "imported\n")
    assert api.get("/images/imported:1/history")[0]["Comment"] == "note"
    api.remove(cid)


def test_commit(cli, api):
    cid = api.run(["sh", "-c", "echo saved >/state; rm /etc/group"])
    api.wait(cid)
    iid = cli.ok("commit", "-m", "a note", "-a", "me", "-c", "ENV K=v", cid, "committed:1").strip()
    image = api.get("/images/committed:1/json")
    assert image["Id"] == iid and image["Author"] == "me" and image["Comment"] == "a note"
    assert "K=v" in image["Config"]["Env"]
    assert api.output(["sh", "-c", "cat /state; ls /etc/group; echo $K"], image="committed:1")[1].startswith(
        "saved\n")
    code, out = api.output(["sh", "-c", "test ! -e /etc/group && echo $K"], image="committed:1")
    assert (code, out) == (0, "v\n")


def test_prune(api):
    keep = small(api, "keep:1", f=b"k")
    loose = small(api, f=b"loose")
    out = api.ok("POST", "/images/prune").json
    deleted = {d.get("Deleted") for d in out["ImagesDeleted"] or []}
    assert loose in deleted and keep not in deleted


def test_cli_images(cli, api):
    small(api, "cli-image:1", f=b"x")
    assert "cli-image" in cli.ok("images")
    iid = cli.ok("images", "-q", "--no-trunc", "cli-image:1").strip()
    assert iid == api.get("/images/cli-image:1/json")["Id"]
    assert "cli-image:1" in cli.ok("inspect", "cli-image:1")
    assert "Untagged: cli-image:1" in cli.ok("rmi", "cli-image:1")
    assert cli("rmi", "cli-image:1").returncode == 1


def test_cli_load_and_save(cli, api, tmp_path):
    small(api, "roundtrip:1", f=b"r")
    path = str(tmp_path / "image.tar")
    cli.ok("save", "-o", path, "roundtrip:1")
    cli.ok("rmi", "roundtrip:1")
    assert "Loaded image: roundtrip:1" in cli.ok("load", "-i", path)


@pytest.mark.parametrize("pack", ["gzip", "xz", "zstd", "bzip2"])
def test_compressed_archives(api, pack, tmp_path):
    import subprocess  # pylint: disable=import-outside-toplevel
    if not shutil.which(pack):
        pytest.skip("no " + pack)
    layer = images.Layer().add("f", data=pack.encode())
    data = images.archive([(["packed:1"], [layer.bytes()], {})])
    packed = subprocess.run([pack, "-c"], input=data, capture_output=True, check=True).stdout
    assert load(api, packed).status == 200
    assert api.get("/images/packed:1/json")


# ---- hostile archives -----------------------------------------------------------------------------
def refused(api, data):
    """Either an error status, or an error in the stream; the daemon lives."""
    a = load(api, data)
    assert a.status >= 400 or b'"error"' in a.body, a.body
    assert api.request("GET", "/_ping").status == 200


def test_no_archive(api):
    refused(api, b"x" * 10000)
    refused(api, b"")


def test_cut_off(api):
    data = images.archive([(["cut:1"], [images.Layer().add("f", data=b"z" * 100000).bytes()], {})])
    refused(api, data[:len(data) // 2])
    assert api.request("GET", "/images/cut:1/json").status == 404


def test_wrong_diff_id(api):
    layer = images.Layer().add("f", data=b"1").bytes()
    data = images.archive([(["wrong:1"], [layer], {})])
    digest = hashlib.sha256(layer).hexdigest().encode()
    # only in the config: the layer's folder keeps its name
    refused(api, data.replace(b"sha256:" + digest, b"sha256:" + b"0" * 64))


def test_links_out_of_the_layer(api):
    layer = images.Layer()
    layer.symlink("out", "/var/tmp")
    layer.add("out/fence-escape", data=b"x")
    layer.symlink("up", "../../../../../../../../var/tmp")
    layer.add("up/fence-escape", data=b"x")
    layer.add("../fence-escape", data=b"x")
    layer.add("hard", tarfile.LNKTYPE, link="../../../../../../../etc/hostname")
    load(api, images.archive([(["evil:1"], [layer.bytes()], {})]))
    for folder in ("/var/tmp", "/"):
        assert not os.path.exists(os.path.join(folder, "fence-escape"))
    assert api.request("GET", "/_ping").status == 200


def test_names_in_the_manifest_that_climb(api):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        data = json.dumps([{"Config": "../../../../etc/passwd", "RepoTags": ["x:1"],
                            "Layers": ["../../../../etc/passwd"]}]).encode()
        entry = tarfile.TarInfo("manifest.json")
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    refused(api, out.getvalue())


def test_whiteouts_hide_lower_files(api):
    lower = images.Layer().directory("d").add("d/a", data=b"a").add("d/b", data=b"b").add("c", data=b"c")
    upper = images.Layer().directory("d").add("d/.wh.a").add(".wh.c").add("d/new", data=b"n")
    opaque = images.Layer().directory("d").add("d/.wh..wh..opq").add("d/only", data=b"o")
    base = images.busybox_layer()
    load(api, images.archive([(["wh:1"], [base, lower.bytes(), upper.bytes()], {}),
                              (["wh:2"], [base, lower.bytes(), upper.bytes(), opaque.bytes()], {})]))
    assert api.output(["sh", "-c", "ls /d; ls /c"], image="wh:1")[1].split()[:2] == ["b", "new"]
    assert api.output(["ls", "/d"], image="wh:2") == (0, "only\n")


def test_owners_modes_and_attributes(api):
    layer = images.Layer()
    layer.add("owned", data=b"x", mode=0o4755, uid=1234, gid=4321)
    layer.add("beyond", data=b"y", uid=200000, gid=3000000000)
    layer.add("pipe", tarfile.FIFOTYPE, mode=0o600)
    load(api, images.archive([(["attr:1"], [images.busybox_layer(), layer.bytes()], {})]))
    _, out = api.output(["stat", "-c", "%n %u %g %a %F", "/owned", "/beyond", "/pipe"], image="attr:1")
    assert out.splitlines() == ["/owned 1234 4321 4755 regular file",
                                "/beyond 200000 3000000000 644 regular file", "/pipe 0 0 600 fifo"]


def test_high_ids_are_writable(api):
    """Owners above the range of a container: in exec, cp and commit, and of what it makes."""
    layer = images.Layer()
    layer.add("beyond", data=b"y", uid=200000, gid=300000)
    load(api, images.archive([(["attr:2"], [images.busybox_layer(), layer.bytes()], {})]))
    cid = api.run(["sh", "-c", "touch /mine; chown 300000:200000 /mine; sleep 1000"], image="attr:2")
    until(lambda: api.exec(cid, ["stat", "-c", "%u %g", "/mine"])[1] == "300000 200000\n")
    assert api.exec(cid, ["stat", "-c", "%u", "/beyond"], User="200000")[1] == "200000\n"
    for path, owner in (("/beyond", (200000, 300000)), ("/mine", (300000, 200000))):
        data = api.ok("GET", "/containers/%s/archive" % cid, path=path).body
        with tarfile.open(fileobj=io.BytesIO(data)) as tar:
            entry = tar.getmembers()[0]
            assert (entry.uid, entry.gid) == owner
        assert api.ok("PUT", "/containers/%s/archive" % cid, data, path="/tmp").status == 200
        assert api.exec(cid, ["stat", "-c", "%u %g", "/tmp" + path])[1] == "%d %d\n" % owner
    api.ok("POST", "/commit", container=cid, repo="attr", tag="3")
    api.remove(cid)
    _, out = api.output(["stat", "-c", "%u %g", "/mine", "/tmp/beyond"], image="attr:3")
    assert out == "300000 200000\n200000 300000\n"


def test_too_many_high_ids(api):
    layer = images.Layer()
    for i in range(257):
        layer.add("f%d" % i, data=b"", uid=100000 + i)
    load(api, images.archive([(["attr:4"], [images.busybox_layer(), layer.bytes()], {})]))
    cid = api.create("attr:4", ["true"])
    a = api.request("POST", "/containers/%s/start" % cid)
    assert a.status == 400 and "--userns=host" in a.message
    code, out = api.output(["stat", "-c", "%u", "/f256"], image="attr:4", host={"UsernsMode": "host"})
    assert (code, out) == (0, "100256\n")


def test_passwd_that_is_a_pipe(api):
    layer = images.Layer().directory("etc").add("etc/passwd", tarfile.FIFOTYPE)
    load(api, images.archive([(["fifo:1"], [images.busybox_layer(), layer.bytes()], {})]))
    cid = api.create("fifo:1", ["true"], User="root")
    a = api.request("POST", "/containers/%s/start" % cid, timeout=20)
    assert a.status in (204, 400, 500)
    assert api.request("GET", "/_ping", timeout=5).status == 200


def test_sdk(sdk):
    image = sdk.images.get("busybox")
    assert image.tag("sdk-tag", "1")
    assert any("busybox:latest" in i.tags for i in sdk.images.list())
    sdk.images.remove("sdk-tag:1")


@pytest.mark.limit(180)
def test_many_layers(api):
    """Before Linux 6.15 the names of all layers have to fit into one page."""
    layers = [images.busybox_layer()] + [
        images.Layer().add("l/%d" % n, data=b"%d" % n).add("top", data=b"%d" % n).bytes()
        for n in range(123)]
    answer = load(api, images.archive([(("deep:1",), layers, {})]))
    assert answer.status == 200 and not [l for l in answer.lines if "error" in l], answer.body
    cid = api.create("deep:1", ["sh", "-c", "ls l | wc -l; cat top; echo; echo own > top"])
    with tarfile.open(fileobj=io.BytesIO(api.ok("GET", "/containers/%s/export" % cid).body)) as tar:
        assert tar.extractfile("top").read() == b"122" # not started yet
    api.start(cid)
    assert api.wait(cid) == 0 and api.logs(cid) == b"123\n122\n"
    assert api.get("/containers/%s/changes" % cid) == [{"Path": "/top", "Kind": 0}]
    api.ok("POST", "/commit", {}, container=cid, repo="deep", tag="2")
    assert api.output(["cat", "top"], image="deep:2") == (0, "own\n")


def test_what_old_compose_reads_of_an_image(api):
    """docker-compose 1.29 asks for the newest version, and makes containers anew by this."""
    for version in ("v1.41", "v1.51"):
        image = Api(api.path, version).get("/images/busybox/json")
        assert isinstance(image["ContainerConfig"], dict)
        assert ("Container" in image) == (version == "v1.41")
