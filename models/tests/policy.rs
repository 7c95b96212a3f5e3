//! Trust policies: faults are reported together and with lines; the first matching rule decides.
#![allow(clippy::unwrap_used, reason = "tests")]

mod fixture;

use std::path::Path;

use dunlin_models::key::KeyPair;
use dunlin_models::store::Store;
use dunlin_models::verify::{Mode, PolicyError, TrustPolicy, Verdict, VerifyError};
use dunlin_models::{Descriptor, Verified, Verifier};
use fixture::{key, module, one_key, policy_text, reference, sign, store};

fn parse(text: &str) -> Result<TrustPolicy, PolicyError> {
    TrustPolicy::parse(text, Path::new("/nonexistent"))
}

/// The faults of a policy, as printed.
fn faults(text: &str) -> Vec<String> {
    match parse(text) {
        Err(PolicyError::Faults { faults }) => faults.iter().map(ToString::to_string).collect(),
        other => panic!("{other:?}"),
    }
}

fn verify(policy: &str, store: &Store, descriptor: &Descriptor) -> Result<Verified<Descriptor>, VerifyError> {
    Verifier::new(parse(policy).unwrap()).verify(store, &reference("demo/echo"), descriptor)
}

#[test]
fn the_documented_example_and_its_json_form() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("cosign.pub"), key().public().to_pem()).unwrap();
    let text = r#"
apiVersion: dunlin.dev/v1alpha1
kind: TrustPolicy
metadata: { name: demo }
spec:
  mode: audit
  allowUnsigned: false
  rules:
    - name: ours
      match: ["demo/*", "registry.example/team/**"]
      require:
        any:
          - key: { file: cosign.pub }
"#;
    let policy = TrustPolicy::parse(text, folder.path()).unwrap();
    assert_eq!(policy.name(), Some("demo"));
    assert_eq!(policy.mode(), Mode::Audit);
    assert!(!policy.allows_unsigned());
    let json = r#"{"apiVersion":"dunlin.dev/v1alpha1","kind":"TrustPolicy","spec":{"rules":[
        {"name":"a","match":["**"],"require":{"key":{"file":"cosign.pub"}}}]}}"#;
    let policy = TrustPolicy::parse(json, folder.path()).unwrap();
    assert_eq!((policy.mode(), policy.allows_unsigned()), (Mode::Enforce, true));
}

#[test]
fn all_faults_are_reported_with_lines() {
    let text = r#"apiVersion: dunlin.dev/v2
kind: TrustPolicy
spec:
  mode: maybe
  rules:
    - name: a
      match: []
      require: {key: {file: missing.pub}}
    - name: a
      match: ["a b", 7]
      requires: {}
    - name: c
      match: ["**"]
      require: {any: [], all: []}
surplus: 1
"#;
    // `mode` is reported, and ends the reading of its siblings' values only where they cannot be read.
    let found = faults(text);
    let expect = |line: &str, path: &str| {
        assert!(
            found
                .iter()
                .any(|fault| fault.starts_with(line) && fault.contains(path)),
            "{line} {path}: {found:#?}"
        );
    };
    expect("line 1:", "apiVersion: must be dunlin.dev/v1alpha1");
    expect("line 4:", "spec.mode: must be enforce or audit");
    expect("line 7:", "spec.rules[0].match: must not be empty");
    expect("line 8:", "spec.rules[0].require.key.file");
    expect("line 10:", "spec.rules[1].match[0]");
    expect("line 10:", "spec.rules[1].match[1]: expected a text, found a number");
    expect("line 11:", "spec.rules[1].requires: unknown field");
    expect("line 9:", "spec.rules[1].require: missing");
    expect("line 14:", "spec.rules[2].require: expected exactly one of");
    expect("line 15:", "surplus: unknown field");
    let shown = parse(text).unwrap_err().to_string();
    assert!(
        shown.contains("fault(s)") && shown.lines().count() == found.len() + 1,
        "{shown}"
    );
}

#[test]
fn refuses_requirements_that_make_no_sense() {
    let (a, b) = (one_key(&key()), one_key(&key()));
    let nested = |depth: usize| format!("{}{a}{}", "{any: [".repeat(depth), "]}".repeat(depth));
    let cases = [
        (format!("{{threshold: {{count: 0, of: [{a}]}}}}"), "between 1 and 1"),
        (
            format!("{{threshold: {{count: 3, of: [{a}, {b}]}}}}"),
            "between 1 and 2",
        ),
        (format!("{{threshold: {{count: -1, of: [{a}]}}}}"), "whole number"),
        (format!("{{threshold: {{of: [{a}]}}}}"), "count: missing"),
        (
            format!("{{threshold: {{count: 2, of: [{a}, {{any: [{a}, {b}]}}]}}}}"),
            "names this key twice",
        ),
        (format!("{{any: [{a}], all: [{b}]}}"), "exactly one of"),
        ("{any: []}".to_owned(), "must not be empty"),
        ("{keyless: {issuer: x}}".to_owned(), "keyless.identity: missing"),
        ("{key: {inline: {pem: nonsense}}}".to_owned(), "not a PEM block"),
        ("{key: {}}".to_owned(), "exactly one of file, inline"),
        ("always".to_owned(), "expected a map, found a text"),
        (nested(5), "at most 4 deep"),
    ];
    for (require, message) in cases {
        let found = faults(&policy_text("enforce", true, &require));
        assert!(
            found.iter().any(|fault| fault.contains(message)),
            "{require}: {found:?}"
        );
    }
    parse(&policy_text("enforce", true, &nested(4))).unwrap();
}

#[test]
fn refuses_what_is_not_yaml_or_abuses_it() {
    let good = policy_text("enforce", true, &one_key(&key()));
    let twice = good.replacen("kind: TrustPolicy", "kind: TrustPolicy\nkind: TrustPolicy", 1);
    let anchors = good.replacen("kind: TrustPolicy", "kind: &a TrustPolicy\nmetadata: {name: *a}", 1);
    let many = format!("{good}---\n{good}");
    let deep = format!("spec: {}{}", "[".repeat(10_000), "]".repeat(10_000));
    for text in [twice.as_str(), &anchors, &many, &deep, "a: [", "\u{0}", "a: b: c"] {
        let error = parse(text).unwrap_err();
        assert!(matches!(error, PolicyError::Syntax { .. }), "{error}");
    }
    assert!(matches!(
        parse("a: [\n"),
        Err(PolicyError::Syntax { line: Some(_), .. })
    ));
    assert!(matches!(parse(&"#".repeat(2 << 20)), Err(PolicyError::TooLarge { .. })));
    for text in ["", "[]", "just text", "null"] {
        assert!(parse(text).is_err(), "{text}");
    }
}

#[test]
fn key_files_are_bounded() {
    let folder = tempfile::tempdir().unwrap();
    fs_err::write(folder.path().join("huge.pub"), vec![b'-'; 1 << 20]).unwrap();
    let text = policy_text("enforce", true, "{key: {file: huge.pub}}");
    assert!(matches!(
        TrustPolicy::parse(&text, folder.path()),
        Err(PolicyError::Faults { .. })
    ));
}

#[test]
fn the_first_matching_rule_decides() {
    let (_folder, store) = store();
    let (ours, theirs) = (key(), key());
    let descriptor = module(&store);
    sign(&store, &descriptor, &ours);
    let rule = |name: &str, pattern: &str, key: &KeyPair| {
        format!(
            "    - {{name: {name}, match: [\"{pattern}\"], require: {}}}\n",
            one_key(key)
        )
    };
    let head = "apiVersion: dunlin.dev/v1alpha1\nkind: TrustPolicy\nspec:\n  rules:\n";
    let ours_first = format!(
        "{head}{}{}",
        rule("ours", "demo/*", &ours),
        rule("theirs", "**", &theirs)
    );
    let verdict = verify(&ours_first, &store, &descriptor).unwrap();
    let expected = Verdict::Signed {
        rule: "ours".to_owned(),
        keys: vec![ours.public().fingerprint()],
    };
    assert_eq!(verdict.verdict(), &expected);
    let theirs_first = format!(
        "{head}{}{}",
        rule("theirs", "**", &theirs),
        rule("ours", "demo/*", &ours)
    );
    assert!(
        matches!(verify(&theirs_first, &store, &descriptor), Err(VerifyError::Unsatisfied { rule, .. }) if rule == "theirs")
    );
    let elsewhere = format!("{head}{}", rule("ours", "registry.example/**", &ours));
    let error = verify(&elsewhere, &store, &descriptor).unwrap_err();
    assert!(matches!(&error, VerifyError::NoRule { name, .. } if name == "demo/echo"));
    assert!(error.hint().unwrap().contains("demo/echo"));
}

#[test]
fn any_all_and_threshold() {
    let (_folder, store) = store();
    let keys = [key(), key(), key()];
    let [a, b, c] = keys.each_ref().map(one_key);
    let descriptor = module(&store);
    let decide = |require: &str| verify(&policy_text("enforce", true, require), &store, &descriptor);
    let any = format!("{{any: [{a}, {b}]}}");
    let all = format!("{{all: [{a}, {b}]}}");
    let two_of_three = format!("{{threshold: {{count: 2, of: [{a}, {b}, {c}]}}}}");
    let nested = format!("{{all: [{a}, {{any: [{b}, {c}]}}]}}");
    assert!(matches!(decide(&any), Err(VerifyError::Unsigned { .. })));
    sign(&store, &descriptor, &keys[0]);
    // A second signature by the same key is not a second key.
    sign(&store, &descriptor, &keys[0]);
    decide(&any).unwrap();
    for require in [&all, &two_of_three, &nested] {
        let error = decide(require).unwrap_err();
        assert_eq!(error.explain().len(), 2, "{error}");
    }
    sign(&store, &descriptor, &keys[2]);
    decide(&two_of_three).unwrap();
    decide(&nested).unwrap();
    assert!(decide(&all).is_err());
    sign(&store, &descriptor, &keys[1]);
    let verdict = decide(&all).unwrap();
    let Verdict::Signed { keys: named, .. } = verdict.verdict() else {
        panic!("{verdict:?}")
    };
    assert_eq!(named.len(), 2);
}

#[test]
fn audit_lets_pass_and_says_so() {
    let (_folder, store) = store();
    let descriptor = module(&store);
    let audited = verify(&policy_text("audit", true, &one_key(&key())), &store, &descriptor).unwrap();
    assert!(matches!(audited.verdict(), Verdict::Audited { reason } if reason.contains("no signature")));
    assert_eq!(*audited, descriptor);
}

#[test]
fn unsigned_by_request_only_where_the_policy_lets_it() {
    let (_folder, store) = store();
    let descriptor = module(&store);
    let name = reference("demo/echo");
    let nobody = Verifier::deny_all();
    assert!(matches!(
        nobody.verify(&store, &name, &descriptor),
        Err(VerifyError::NoPolicy { .. })
    ));
    assert_eq!(
        nobody.allow_unsigned(&name, &descriptor).unwrap().verdict(),
        &Verdict::AllowedUnsigned
    );
    let with = |allow| Verifier::new(parse(&policy_text("enforce", allow, &one_key(&key()))).unwrap());
    with(true).allow_unsigned(&name, &descriptor).unwrap();
    assert!(matches!(
        with(false).allow_unsigned(&name, &descriptor),
        Err(VerifyError::UnsignedForbidden { .. })
    ));
}
