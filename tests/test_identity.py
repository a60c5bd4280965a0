import pandas as pd

from cjkit.engine import DuckDB
from cjkit.identity import MOST_STRONG, resolve_people

STRENGTHS = {"login": "strong", "mail": "strong", "cookie": "weak"}


def resolve(keys, links, *, is_plain=True, strengths=STRENGTHS):
    engine = DuckDB(threads=1)
    engine.add("keys", pd.DataFrame({"person_key": pd.Series(keys, dtype="str")}))
    pairs = pd.DataFrame(links, columns=["key_a", "key_b"]).astype("str")
    engine.add("links", pairs)
    people = resolve_people(engine, "keys", "links", strengths=strengths, is_plain=is_plain)
    found = engine.query(f"select person_key, customer_id, customer_no from {people.table}")
    return people, found.set_index("person_key")


def owners(keys, links):
    return resolve(keys, links)[1]["customer_id"].to_dict()


def test_strong_keys_merge_through_each_other():
    found = owners(
        ["login:a", "login:b"], [("login:a", "mail:1"), ("login:b", "mail:2"), ("mail:2", "mail:1")]
    )
    assert set(found.values()) == {"login:a"}


def test_a_weak_key_attaches_to_the_one_person_it_meets():
    found = owners(
        ["cookie:9"], [("cookie:1", "login:a"), ("login:a", "mail:1"), ("mail:1", "cookie:1")]
    )
    assert found["cookie:1"] == "login:a"
    assert found["cookie:9"] == "cookie:9"


def test_a_weak_key_that_meets_two_people_stays_its_own_and_merges_nobody():
    people, found = resolve([], [("cookie:1", "login:a"), ("cookie:1", "login:b")])
    assert found["customer_id"].nunique() == 3
    assert people.summary.set_index("namespace").loc["cookie", "undecided"] == 1


def test_weak_keys_do_not_link_each_other():
    found = owners([], [("cookie:1", "login:a"), ("cookie:2", "cookie:1")])
    assert found["cookie:2"] == "cookie:2"


def test_a_super_key_is_not_used():
    logins = [f"login:{number:03}" for number in range(MOST_STRONG + 1)]
    people, found = resolve([], [(login, "mail:shop") for login in logins])
    assert found["customer_id"].nunique() == len(logins) + 1
    assert people.summary.set_index("namespace").loc["mail", "super_keys"] == 1
    people, found = resolve([], [(login, "mail:family") for login in logins[:-1]])
    assert people.customers == 1
    assert people.largest == MOST_STRONG + 1


def test_customer_id_is_stable_and_short():
    before = resolve(["login:b"], [("login:b", "mail:1")], is_plain=False)[1]["customer_id"]
    after = resolve(
        ["login:b", "login:z"], [("login:b", "mail:1"), ("login:z", "mail:2")], is_plain=False
    )
    assert after[1]["customer_id"][before.index].equals(before)
    assert before.str.fullmatch("[0-9a-f]{16}").all()


def test_a_single_namespace_needs_no_name():
    assert owners(["login:a:b"], [])["login:a:b"] == "a:b"


def test_customer_no_follows_customer_id():
    _, found = resolve(["login:b", "login:a", "cookie:c"], [])
    ordered = found.sort_values("customer_no")
    assert ordered["customer_id"].is_monotonic_increasing
    assert ordered["customer_no"].tolist() == [0, 1, 2]


def test_there_may_be_nobody():
    people, found = resolve([], [])
    assert len(found) == 0
    assert people.customers == people.largest == 0


def slow_owners(keys, links):
    """Follow the rule one key at a time, spreading the smallest name until nothing changes."""
    names = {*keys, *(key for link in links for key in link)}
    met = {key: set() for key in names}
    for a, b in links:
        met[a] |= {b} - {a}
        met[b] |= {a} - {b}
    strong = {key for key in names if not key.startswith("cookie:")}
    used = {key for key in names if len(met[key] & strong) <= MOST_STRONG}
    owner = {key: key for key in names}
    is_changing = True
    while is_changing:
        is_changing = False
        for key in strong & used:
            smallest = min(owner[other] for other in {key, *(met[key] & strong & used)})
            is_changing |= smallest != owner[key]
            owner[key] = smallest
    for key in used - strong:
        people = {owner[other] for other in met[key] & strong & used}
        if len(people) == 1:
            owner[key] = people.pop()
    return owner


def test_agrees_with_following_the_rule_slowly(rng):
    for _ in range(20):
        size = int(rng.integers(1, 160))
        names = [f"{kind}:{number}" for kind in STRENGTHS for number in range(40)]
        links = [tuple(rng.choice(names, 2)) for _ in range(size)]
        links += [("mail:0", f"login:{number}") for number in range(int(rng.integers(0, 40)))]
        keys = [*rng.choice(names, 10), "login:0", "cookie:0"]
        assert owners(keys, links) == slow_owners(keys, links)
