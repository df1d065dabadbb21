/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/alloc.h"
#include "base/str.h"
#include "cli/client.h"
#include "cli/gotmpl.h"
#include "format/json.h"

static const char *const text =
    "{\"Id\":\"abc\",\"Name\":\"/"
    "web\",\"N\":3,\"F\":1.5,\"T\":true,\"Empty\":\"\",\"Big\":12345678901,"
    "\"State\":{\"Status\":\"running\",\"Pid\":42,\"Error\":\"\"},\"List\":[\"a\",\"b\",\"c\"],"
    "\"None\":[],"
    "\"Config\":{\"Labels\":{\"x\":\"1\",\"a\":\"2\"},\"Cmd\":null,\"Volumes\":null,\"Image\":"
    "\"img\"},"
    "\"HostConfig\":{\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{}},\"PidsLimit\":null},"
    "\"NetworkSettings\":{\"Ports\":{\"80/tcp\":[{\"HostIp\":\"0.0.0.0\",\"HostPort\":\"8080\"}],"
    "\"81/tcp\":null},\"Networks\":{\"bridge\":{\"IPAddress\":\"172.17.0.2\"}}}}";

/* The output, or the error in front of '!'. Owned. */
static char *run_with(const char *template, const struct gotmpl_options *o) {
    auto_gotmpl *t = NULL;
    auto_json *data = NULL;
    auto_buf out = BUF_INIT;
    auto_err e = ERR_INIT;

    assert_int_equal(client_parse_json(text, strlen(text), &data, NULL), 0);
    if (gotmpl_parse(template, &t, &e) < 0 || gotmpl_exec(t, data, o, &out, &e) < 0)
        return xasprintf("!%s", err_msg(&e));
    return buf_take(&out);
}

static void expect(const char *template, const char *result) {
    const struct gotmpl_options o = {0};
    auto_free char *got = run_with(template, &o);

    assert_string_equal(got, result);
}

#define AT(where) "!template: :" where ": executing \"\" at "

static void fields_and_values(void **state) {
    expect("{{.Id}} {{.Name}} {{.N}} {{.F}} {{.T}} {{.Big}}", "abc /web 3 1.5 true 12345678901");
    expect("{{.State.Status}}-{{.State.Pid}}", "running-42");
    expect("{{.ID}}", "abc"); /* Go's name of the member */
    expect("{{.List}} {{.None}} {{.State}}", "[a b c] [] {running 42 }");
    expect("{{.Config.Labels}}", "map[a:2 x:1]");
    expect("{{.NetworkSettings.Ports}}", "map[80/tcp:[{0.0.0.0 8080}] 81/tcp:[]]");
    expect("{{.Config.Cmd}} {{.Config.Volumes}} {{.HostConfig.PidsLimit}}", "[] map[] <nil>");
    expect("{{.HostConfig.LogConfig}}", "{json-file map[]}");
    expect("{{json .Config.Labels}} {{json .Config.Cmd}} {{json .Id}}",
           "{\"x\":\"1\",\"a\":\"2\"} null \"abc\"");
    expect("{{.NetworkSettings.Networks.bridge.IPAddress}}", "172.17.0.2");
}

static void absent_members(void **state) {
    expect("{{.Config.Labels.nope}}|{{index .Config.Labels \"nope\"}}|", "<no value>||");
    expect("{{.NetworkSettings.Networks.nope.IPAddress}}", "<no value>");
    expect("{{.State.Health}} {{if .State.Health}}h{{else}}n{{end}}", "<nil> n");
    expect("{{.Foo}}", AT("1:2") "<.Foo>: map has no entry for key \"Foo\"");
    expect("{{.State.Foo}}", AT("1:8") "<.State.Foo>: map has no entry for key \"Foo\"");
    expect("{{.State.Health.Status}}",
           AT("1:8") "<.State.Health.Status>: map has no entry for key \"Health\"");
    expect("\n {{.Id.Foo}}", AT("2:6") "<.Id.Foo>: can't evaluate field Foo in type interface {}");
}

static void control(void **state) {
    expect("{{if eq .State.Status \"running\"}}yes{{else}}no{{end}}", "yes");
    expect("{{if .Empty}}a{{else if .N}}b{{else}}c{{end}}", "b");
    expect("{{range .List}}<{{.}}>{{end}}", "<a><b><c>");
    expect("{{range $i, $e := .List}}{{if $i}},{{end}}{{$i}}={{$e}}{{end}}", "0=a,1=b,2=c");
    expect("{{range .None}}x{{else}}none{{end}}", "none");
    expect("{{range $k, $v := .Config.Labels}}{{$k}}={{$v}};{{end}}", "a=2;x=1;");
    expect("{{range $p, $b := .NetworkSettings.Ports}}{{$p}}:{{len $b}} {{end}}",
           "80/tcp:1 81/tcp:0 ");
    expect("{{range .List}}{{if eq . \"b\"}}{{break}}{{end}}{{.}}{{end}}", "a");
    expect("{{range .List}}{{if eq . \"b\"}}{{continue}}{{end}}{{.}}{{end}}", "ac");
    expect("{{with .State}}{{.Pid}}{{end}}{{with .Empty}}x{{else}}e{{end}}", "42e");
    expect("{{$x := .N}}{{range .List}}{{$x = .}}{{end}}{{$x}}", "c");
    expect("{{range .List}}{{$.Id}}{{end}}", "abcabcabc");
    expect("a {{- \" b \" -}} c{{/* note */}}d", "a b cd");
    expect("{{- .Id -}}\n x", "abcx");
    expect("{{range 3}}{{.}}{{end}}", "012");
}

static void functions(void **state) {
    expect("{{(index (index .NetworkSettings.Ports \"80/tcp\") 0).HostPort}}", "8080");
    expect("{{index .List 1}} {{len .List}} {{len .Id}}", "b 3 3");
    expect("{{join .List \"-\"}} {{index (split .Name \"/\") 1}}", "a-b-c web");
    expect("{{upper .Id}} {{lower \"ABC\"}} {{title \"two words\"}}", "ABC abc Two Words");
    expect("{{pad .Id 1 2}}| {{truncate .Id 2}} {{truncate .Id 9}}", " abc  | ab abc");
    expect("{{.Id | printf \"%-5s|%5s|\" \"x\"}}", "x    |  abc|");
    expect("{{printf \"%d %v %q %x %t %%\" 7 .F \"a\\\"b\" 255 true}}",
           "7 1.5 \"a\\\"b\" ff true %");
    expect("{{printf \"%d\" \"s\"}}{{printf \"%d\"}}", "%!d(string=s)%!d(MISSING)");
    expect("{{println .Id .N}}{{print .N .N .Id}}", "abc 3\n3 3abc");
    expect("{{and .Id .Empty}}|{{or .Empty .Id}}|{{not .Id}}", "|abc|false");
    expect("{{eq .N 1 2 3}} {{ne 1 2}} {{lt 1 2}} {{le 2 2}} {{gt 1 2}} {{ge 1 2}}",
           "true true true true false false");
    expect("{{slice .Id 1 2}} {{slice .List 1}}", "b [b c]");
    expect("{{html \"<a&b>\"}} {{urlquery \"a b/\"}}", "&lt;a&amp;b&gt; a+b%2F");
    expect("{{'a'}} {{0x10}} {{1.5}} {{`raw\\n`}} {{\"\\u00e9\\t\"}}|",
           "97 16 1.5 raw\\n \xc3\xa9\t|");
}

static void parse_errors(void **state) {
    expect("{{.ID", "!template: :1: unclosed action");
    expect("{{foo}}", "!template: :1: function \"foo\" not defined");
    expect("{{end}}", "!template: :1: unexpected {{end}}");
    expect("{{if .ID}}", "!template: :1: unexpected EOF");
    expect("{{\"a", "!template: :1: unterminated quoted string");
    expect("{{$x}}", "!template: :1: undefined variable \"$x\"");
    expect("{{}}", "!template: :1: missing value for command");
    expect("{{if}}{{end}}", "!template: :1: missing value for if");
    expect("{{(.ID}}", "!template: :1: unclosed left paren");
    expect("{{/* a", "!template: :1: unclosed comment");
    expect("{{break}}", "!template: :1: {{break}} outside {{range}}");
    expect("x\n{{.A | 3}}", "!template: :2: non executable command in pipeline stage 2");
}

static void run_errors(void **state) {
    expect("{{index .List 3}}",
           AT("1:2") "<index .List 3>: error calling index: reflect: slice index out of range");
    expect("{{index .List 9}}",
           AT("1:2") "<index .List 9>: error calling index: index out of range: 9");
    expect("{{join .List}}", AT("1:2") "<join>: wrong number of args for join: want 2 got 1");
    expect("{{eq 1 \"a\"}}",
           AT("1:2") "<eq 1 \"a\">: error calling eq: incompatible types for comparison");
    expect("{{nil}}", AT("1:2") "<nil>: nil is not a command");
    expect("{{range .N.X}}{{end}}",
           AT("1:10") "<.N.X>: can't evaluate field X in type interface {}");
}

static char *label(struct json_object *extra, const char *name, const char *arg) {
    return strcmp(name, "Label") == 0 ? xstrdup(str_or_empty(jsn_str(extra, arg))) : NULL;
}

static void rows(void **state) {
    auto_json *labels = json_object_new_object();
    const struct gotmpl_options o = {
        .type_name = "*formatter.ContainerContext", .method = label, .extra = labels};
    static const struct {
        const char *template, *result;
    } cases[] = {
        {"{{.Foo}}",
         AT("1:2") "<.Foo>: can't evaluate field Foo in type *formatter.ContainerContext"},
        {"{{.Label \"k\"}}", "v"},
        {"{{.Id \"k\"}}", AT("1:2") "<.Id>: wrong number of args for Id: want 0 got 1"},
    };

    json_object_object_add(labels, "k", json_object_new_string("v"));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        auto_free char *got = run_with(cases[i].template, &o);

        assert_string_equal(got, cases[i].result);
    }
}

static void mentions(void **state) {
    auto_gotmpl *t = NULL;

    assert_int_equal(gotmpl_parse("{{range .A}}{{if .Size}}x{{end}}{{end}}", &t, NULL), 0);
    assert_true(gotmpl_uses(t, "Size"));
    assert_false(gotmpl_uses(t, "B"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fields_and_values),
        cmocka_unit_test(absent_members),
        cmocka_unit_test(control),
        cmocka_unit_test(functions),
        cmocka_unit_test(parse_errors),
        cmocka_unit_test(run_errors),
        cmocka_unit_test(rows),
        cmocka_unit_test(mentions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
