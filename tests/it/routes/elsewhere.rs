//! What other balancers put a part of a request in the place of, and what only looks like it.

use super::settings;
use crate::support::Backend;

fn validate(route: &str, secret: &str) -> (Option<i32>, String) {
    let route = format!("[routes.all]\n{route}\n");
    settings(&route, &[("one", Backend::refuses())]).balancer().env("SECRET", secret).word("validate").fail()
}

#[test]
fn a_variable_of_another_balancer_in_a_header_line_is_refused_with_what_backends_are_told_anyway() {
    for (value, word, of, mend) in [
        ("$remote_addr", "$remote_addr", "nginx", "remove it: X-Forwarded-For has the client's address"),
        ("for=$remote_addr;by=a", "$remote_addr", "nginx", "remove it: X-Forwarded-For has "),
        ("$proxy_add_x_forwarded_for", "$proxy_add_x_forwarded_for", "nginx", "remove it: X-Forwarded-For "),
        ("$scheme", "$scheme", "nginx", "remove it: X-Forwarded-Proto has the client's scheme"),
        ("$http_host", "$http_host", "nginx", "remove it: Host and X-Forwarded-Host have the client's host"),
        ("${SECRET}$request_uri", "$request_uri", "nginx", "write fixed text"),
        ("id-$cookie_session", "$cookie_session", "nginx", "write fixed text"),
        (
            "$request_id",
            "$request_id",
            "nginx",
            "remove it: the setting request_id names the line that has an id",
        ),
        ("%[unique-id]", "%[unique-id]", "HAProxy", "remove it: the setting request_id names the line"),
        ("%REQ(X-REQUEST-ID)%", "%REQ(X-REQUEST-ID)%", "Envoy", "remove it: the setting request_id names"),
        ("{http.request.uuid}", "{http.request.uuid}", "Caddy", "remove it: the setting request_id names"),
        ("%[src]", "%[src]", "HAProxy", "remove it: X-Forwarded-For has the client's address"),
        ("a %[req.hdr(x-a),lower]", "%[req.hdr(x-a),lower]", "HAProxy", "write fixed text"),
        ("%ci", "%ci", "HAProxy", "remove it: X-Forwarded-For has the client's address"),
        ("%DOWNSTREAM_REMOTE_ADDRESS%", "%DOWNSTREAM_REMOTE_ADDRESS%", "Envoy", "remove it: X-Forwarded-For"),
        ("a%REQ(x-a?x-b):9%b", "%REQ(x-a?x-b):9%", "Envoy", "write fixed text"),
        ("{remote_host}", "{remote_host}", "Caddy", "remove it: X-Forwarded-For has the client's address"),
        ("{scheme}://{hostport}{uri}", "{scheme}", "Caddy", "remove it: X-Forwarded-Proto has "),
        ("{http.request.header.X-A}", "{http.request.header.X-A}", "Caddy", "write fixed text"),
        ("{uri}", "{uri}", "Caddy", "write fixed text"),
    ] {
        for change in ["set", "add"] {
            let route = format!("pool = \"one\"\nrequest_headers = {{ {change} = {{ x-a = \"{value}\" }} }}");
            let (code, said) = validate(&route, "a");
            assert_eq!((code, said.matches("error: ").count()), (Some(2), 1), "{said}");
            assert!(said.contains(&format!("{word} is a variable of {of}, and only text here\n")), "{said}");
            assert!(said.contains(&format!("= help: {mend}")), "{said}");
            assert!(said.contains("loadbalancer.toml:10:"), "{said}");
        }
    }
}

#[test]
fn an_id_of_each_request_is_a_setting_and_no_line_of_a_routes_answers() {
    let route = "pool = \"one\"\nanswer_headers = { set = { x-request-id = \"$request_id\" } }";
    let (code, said) = validate(route, "");
    assert_eq!(code, Some(2), "{said}");
    assert!(
        said.contains("= help: remove it: the setting request_id names the line that has an id"),
        "{said}"
    );
}

#[test]
fn what_an_answer_says_of_its_request_is_nothing_that_a_line_or_a_body_can_have() {
    for route in [
        "pool = \"one\"\nanswer_headers = { set = { x-from = \"$remote_addr\" } }",
        "pool = \"one\"\nanswer_headers = { add = { x-from = \"$remote_addr\" } }",
        "answer = { body = \"$remote_addr\\n\" }",
    ] {
        let (code, said) = validate(route, "");
        assert_eq!((code, said.matches("error: ").count()), (Some(2), 1), "{said}");
        assert!(said.contains("$remote_addr is a variable of nginx, and only text here\n"), "{said}");
        assert!(said.contains("= help: write fixed text: nothing of a request comes in here"), "{said}");
    }
}

#[test]
fn a_redirect_or_a_rewrite_in_words_of_another_balancer_is_told_in_ours() {
    const NAMES: &str = "write {host}, {path}, {query} or a name that the route's path has in braces";
    for (route, mend) in [
        ("redirect = \"https://$host$request_uri\"", "write https://{host}{path}"),
        ("redirect = \"https://$server_name:8443/?$args\"", "write https://{host}:8443/?{query}"),
        ("redirect = \"https://%[hdr(host)]%[capture.req.uri]\"", "write https://{host}{path}"),
        ("redirect = \"https://%REQ(:AUTHORITY)%%REQ(:PATH)%\"", "write https://{host}{path}"),
        ("redirect = \"https://${SECRET}$uri\"", "write https://${SECRET}{path}"),
        ("redirect = \"$scheme://example.com/\"", NAMES),
        ("redirect = \"https://example.com/$1\"", NAMES),
        ("pool = \"one\"\nrewrite = \"/new$uri\"", "write /new{path}"),
        ("pool = \"one\"\nrewrite = \"$uri\"", "write {path}"),
        ("pool = \"one\"\nrewrite = \"/new/$1/$arg_b\"", NAMES),
    ] {
        let (code, said) = validate(route, "hidden.example");
        assert_eq!((code, said.matches("error: ").count()), (Some(2), 1), "{said}");
        assert!(said.contains(", and only text here\n"), "{said}");
        assert!(said.trim_end().ends_with(&format!("= help: {mend}")), "{said}");
        assert!(!said.contains("hidden.example"), "{said}");
    }
    let (code, said) = validate("redirect = \"https://{http.request.host}{path}\"", "");
    assert!(code == Some(2) && said.contains("{http.request.host} stands for nothing here"), "{said}");
}

#[test]
fn signs_that_variables_are_written_with_elsewhere_are_text_as_long_as_they_stand_for_none() {
    let values = [
        r#"{"group":"csp","max_age":86400,"endpoints":[{"url":"https://a.example/{host"}]}"#,
        "default-src 'self'; script-src 'nonce-{nonce}' https://a.example/%24host%7B%5B",
        "$9.99 or $ 5, $1, $$host, US$, $hostess, $HOST, $http_, $schema, $ref, $${host}",
        "100%, 50%ci, 100%%[src], %[^,], %[a-z], %20[src], %2525, %cinema, %PATH%, %REQ%, %REQUEST(a)%",
        "\"/books/{book}/{path}?{query}{&uri,port}\", {}, {host, {remote host}, { host }",
        "a=%5B1%5D&b={1,2}&c=$(date)&d=$!",
        "${SECRET}",
    ];
    let lines: String = (0..).zip(values).map(|(n, value)| format!("x-{n} = '''{value}'''\n")).collect();
    for side in ["request_headers", "answer_headers"] {
        let route = format!("pool = \"one\"\n[routes.all.{side}.set]\n{lines}");
        let (code, said) = validate(&route, "of $host, %[src] and {remote_host}");
        assert_eq!(code, Some(0), "{said}");
    }
    for route in [
        "pool = \"one\"\nrewrite = \"/odata/$metadata?$filter=a&b=%5B1%5D&c=%24host\"",
        "redirect = \"https://{host}/odata/$count?$top=1&$select=host\"",
        "path = \"/{uri}/{scheme}\"\nredirect = \"https://{host}/{uri}/{scheme}\"",
        "answer = { body = \"$host is the host, and {scheme} the scheme\" }",
        "answer = { body = \"{}\" }",
    ] {
        let (code, said) = validate(route, "");
        assert_eq!(code, Some(0), "{route}: {said}");
    }
}
