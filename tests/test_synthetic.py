import csv
import hashlib
import json
import re
import shutil
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import pytest

from cjkit.checks import CjkitError
from cjkit.engine import DuckDB
from cjkit.synthetic import company, estimate_bytes, make_sample, stories
from cjkit.synthetic.people import OFFICE_PHONE, STAFF_DOMAIN

pytestmark = pytest.mark.slow

STORIES = Path(__file__).parent.parent / "data" / "sample" / "STORIES.md"


def digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


class Company(NamedTuple):
    """A sample, its truth, and an engine that has its truth tables, and its web hits as `web`."""

    sample: company.Sample
    truth: dict
    engine: DuckDB

    @property
    def folder(self) -> Path:
        return self.sample.exports.parent

    def rows(self, files: str) -> str:
        """Write the SQL of the records of files; what stands in a CSV stays text."""
        if files.startswith("web/"):
            return "from web"
        path = self.sample.exports / files
        return f"from read_csv('{path}', all_varchar = true)"

    def count(self, files: str, where: str, what: str = "count(*)") -> int:
        found = self.engine.query(f"select {what} as n {self.rows(files)} where {where}")
        return int(found["n"].iloc[0])

    def planted(self, kind: str, files: str) -> int:
        """Count the records that the truth calls dirty in this way."""
        found = self.engine.query(
            f"select count(*) as n from dirt where kind = '{kind}' and file glob '{files}'"
        )
        return int(found["n"].iloc[0])

    def rate(self, claim: str, where: str) -> float:
        """Return how often a claim is true of needs."""
        found = self.engine.query(
            f"select avg(({claim})::int) as share, count(*) as n from needs where {where}"
        ).iloc[0]
        assert found["n"] > 20
        return float(found["share"])


def build(folder: Path, customers: int, **options) -> Company:
    sample = make_sample(folder, customers=customers, **options)
    truth = json.loads((sample.truth / "truth.json").read_text(encoding="utf-8"))
    engine = DuckDB(threads=1)
    for path in sorted(sample.truth.glob("*.parquet")):
        engine.view(path.stem, f"select * from read_parquet('{path}')")
    web = sample.exports / "web"
    reader = "read_parquet" if any(web.glob("*.parquet")) else "read_json"
    engine.materialize("web", f"select * from {reader}('{web}/*', filename = true)")
    return Company(sample, truth, engine)


@pytest.fixture(scope="module")
def small(tmp_path_factory) -> Company:
    return build(tmp_path_factory.mktemp("small"), 400, threads=1)


@pytest.fixture(scope="module")
def large(tmp_path_factory) -> Company:
    return build(tmp_path_factory.mktemp("large"), 2_500)


def test_the_same_seed_gives_the_same_bytes_whatever_the_threads(small, tmp_path):
    make_sample(tmp_path, customers=400, threads=2)
    assert digests(tmp_path) == digests(small.folder)


def test_another_seed_gives_another_company(small, tmp_path):
    make_sample(tmp_path, customers=100, seed=8)
    again = digests(tmp_path / "exports")
    assert not set(again.values()) & set(digests(small.folder / "exports").values()) - {
        again["shop/products.csv"],
        again["research/interview_notes.csv"],
        again["research/map_comments.csv"],
    }


COLUMNS = {
    "crm/customers.csv": "顧客番号,ログインID,会員カード番号,氏名,氏名カナ,メールアドレス,電話番号,"
    "郵便番号,都道府県,住所,生年,登録日時,登録経路,会員ランク,メール配信,更新日時,退会日",
    "crm/purchase_history_2025.csv": "顧客番号,購入日,購入金額,購入場所,伝票番号",
    "shop/order_lines_2025.csv": "order_no,line_no,ordered_at,login_id,email,product_id,"
    "product_name,category,quantity,unit_price,discount,amount,currency",
    "shop/orders_2025.csv": "order_no,ordered_at,login_id,email,phone,delivery_method,carrier,"
    "promised_on,shipped_at,delivered_at,item_total,shipping_fee,total,coupon_code,payment_method",
    "shop/returns.csv": "return_no,order_no,line_no,returned_at,login_id,email,product_id,"
    "category,quantity,amount,reason",
    "shop/products.csv": "product_id,name_ja,name_en,category,price",
    "pos/receipts_2025.csv": "レシート番号,行番号,取引日時,店舗コード,店舗名,会員カード番号,"
    "受注番号,取引区分,商品コード,商品名,分類,数量,単価,値引額,金額,支払方法,元レシート番号",
    "mail/mail_events_2025.csv": "event_id,occurred_at,event,email,campaign_id,campaign_name,link,"
    "machine_open",
    "call_center/calls_2025.csv": "call_id,started_at,direction,phone,loyalty_no,order_no,reason,"
    "wait_seconds,talk_seconds,agent_id,outcome",
    "store/visits_2025q3.csv": "visit_id,visit_type,store_code,started_at,minutes,wait_minutes,"
    "loyalty_no,staff_id,topic,outcome",
    "survey/responses.csv": "response_id,answered_at,metric,touchpoint,score,score_max,email,"
    "order_no,language,comment",
    "reviews/product_reviews.csv": "review_id,posted_at,login_id,order_no,product_id,rating,title,"
    "body,language",
    "ads/ad_costs.csv": "day,platform,medium,campaign,impressions,clicks,cost,currency",
    "social/posts.csv": "post_id,platform,posted_at,post_type,theme,text,impressions,likes,"
    "comments,shares,link_clicks",
    "referrals/referrals.csv": "referral_id,referred_at,login_id,friend_email,friend_login_id,"
    "code,status",
    "research/interview_notes.csv": "note_id,interviewed_on,persona,stage,touchpoint,kind,text,"
    "language,respondents",
    "research/map_comments.csv": "stage,comment,owner,status,decision",
    "consent/consents.csv": "record_id,recorded_at,login_id,client_id,email,purpose,status,source",
    "experiments/assignments.csv": "experiment,login_id,arm,assigned_at",
}
CP932 = ("crm/customers.csv", "crm/purchase_history_2025.csv", "pos/receipts_2025.csv")


@pytest.mark.parametrize("name", COLUMNS)
def test_each_csv_has_its_columns_in_its_encoding(small, name):
    encoding = "cp932" if name in CP932 else "utf-8"
    content = (small.folder / "exports" / name).read_bytes().decode(encoding)
    assert content.split("\n", 1)[0] == COLUMNS[name]
    assert content.endswith("\n")


def test_web_hits_are_flat_json_in_nine_quarters(small):
    files = sorted((small.folder / "exports" / "web").iterdir())
    assert [path.name for path in files[:2]] == [
        "web_events_2024q4.ndjson",
        "web_events_2025q1.ndjson",
    ]
    assert len(files) == 9
    hit = json.loads(files[0].read_text(encoding="utf-8").split("\n", 1)[0])
    assert ",".join(hit) == (
        "event_timestamp,event_name,client_id,user_id,session_id,hit_no,page_type,page,product_id,"
        "search_term,search_results,value,currency,order_no,device,browser,source,medium,campaign,"
        "user_agent_class,consent"
    )


def test_row_counts_are_those_of_the_files(small):
    for name, rows in small.sample.rows.items():
        path = small.folder / "exports" / name
        encoding = "cp932" if name.startswith(("crm/", "pos/")) else "utf-8"
        lines = path.read_bytes().decode(encoding).count("\n")
        assert lines - (path.suffix == ".csv") == rows == small.truth["records"][name]


def test_nothing_of_the_truth_is_in_the_exports(small):
    hidden = re.compile(rb"segment|at_risk|is_strong|person_no|polarity|is_bought|_dirt")
    for path in (small.folder / "exports").rglob("*"):
        if path.is_file():
            found = hidden.search(path.read_bytes())
            assert found is None, f"{path.name} shows {found}"


def test_people_are_made_up(small):
    people = (small.folder / "exports/crm/customers.csv").read_bytes().decode("cp932")
    domains = set(re.findall(r"@([a-z.]+)", people))
    assert domains <= {"example.com", "example.net", "example.jp", STAFF_DOMAIN}
    mobiles = re.findall(r"\b0[789]0-?\d{4}-?\d{4}\b", people)
    assert mobiles
    assert all(number.replace("-", "")[3] == "0" for number in mobiles)


NOBODY = "client_id is null and user_id is null and consent"


@pytest.mark.parametrize(
    ("kind", "files", "where"),
    [
        ("date_1970", "web/*", "event_timestamp < 86400000000"),
        ("date_future", "web/*", "event_timestamp > 2000000000000000"),
        ("unknown_event", "web/*", "event_name in ('gtm_debug', 'xx_test')"),
        ("bot_declared", "web/*", "user_agent_class in ('bot', 'monitor')"),
        ("missing_id", "web/*", f"{NOBODY} = 'granted'"),
        ("denied_anonymous", "web/*", f"{NOBODY} = 'denied'"),
        ("anonymous_visit", "store/*", "loyalty_no is null"),
        ("machine_open", "mail/*", "machine_open = 'true'"),
        ("wrong_currency", "shop/order_lines*", "currency = 'USD'"),
        ("negative_amount", "shop/order_lines*", "amount::int < 0"),
        ("absurd_amount", "shop/order_lines*", "amount = '99999999'"),
        ("impossible_order", "shop/orders*", "delivered_at < ordered_at"),
        ("date_1970", "survey/*", "answered_at < '1971'"),
    ],
)
def test_planted_dirt_is_what_the_files_hold(large, kind, files, where):
    assert large.count(files, where) == large.planted(kind, files) > 0


def test_planted_dirt_is_what_the_crm_holds(large):
    content = (large.folder / "exports/crm/customers.csv").read_bytes().decode("cp932")
    records = list(csv.DictReader(content.splitlines()))
    written = [
        (r["氏名"] + r["メールアドレス"] + r["電話番号"], r["メールアドレス"]) for r in records
    ]
    wide = [
        bool(re.search("[０-９＠　]", every)) or mail != mail.lower() for every, mail in written
    ]
    known = Counter(r["顧客番号"] for r in records)
    found = {
        "width_variant": sum(wide),
        "old_version": len(records) - len(known),
        "employee": sum(STAFF_DOMAIN in r["メールアドレス"] for r in records),
        "shared_phone": sum(r["電話番号"].replace("-", "") == OFFICE_PHONE for r in records),
    }
    assert found["width_variant"] > 100
    assert found["employee"] <= large.planted("employee", "crm/*")
    for kind in ("width_variant", "old_version", "shared_phone"):
        assert found[kind] == large.planted(kind, "crm/*"), kind


@pytest.mark.parametrize("files", ["web/*.ndjson", "shop/order_lines_*.csv", "mail/*.csv"])
def test_exact_duplicates_are_the_records_that_stand_twice(large, files):
    lines = Counter(
        line
        for path in (large.folder / "exports").glob(files)
        for line in path.read_text(encoding="utf-8").splitlines()
    )
    headers = 3 if files.endswith(".csv") else 0
    twice = sum(lines.values()) - len(lines) - max(0, headers - 1)
    assert twice == large.planted("exact_duplicate", files) > 0


def test_late_hits_stand_in_the_file_of_the_next_quarter(large):
    clock = "make_timestamp(event_timestamp) + interval 9 hours"
    quarter = f"year({clock}) || 'q' || quarter({clock})"
    strays = large.count("web/*", f"not contains(filename, {quarter}) and {SANE}")
    # A few visits of the last evening run into the next quarter, and are not late.
    assert strays == pytest.approx(large.planted("late_event", "web/*"), rel=0.3)


SANE = "event_timestamp between 1700000000000000 and 2000000000000000"


def test_orphan_lines_have_no_order(large):
    orphans = large.engine.query(
        f"""select count(*) as n from ({large.rows("shop/order_lines_*.csv")}) as lines
            where order_no not in (select order_no {large.rows("shop/orders_*.csv")})"""
    )
    assert int(orphans["n"].iloc[0]) == large.planted("orphan_line", "shop/*") > 0


def test_the_shifted_quarter_is_nine_hours_early(large):
    hours = {
        quarter: large.count(f"store/visits_{quarter}.csv", "true", "min(started_at[12:13]::int)")
        for quarter in ("2025q2", "2025q3")
    }
    assert hours == {"2025q2": 10, "2025q3": 1}


def test_dirt_names_the_record_that_is_dirty(large):
    dirty = large.engine.query(
        "select file, record_no from dirt where kind = 'wrong_currency' order by all limit 1"
    ).iloc[0]
    lines = (large.folder / "exports" / dirty["file"]).read_text(encoding="utf-8").splitlines()
    assert lines[dirty["record_no"]].endswith(",USD")


def test_a_sale_is_the_same_sale_in_every_system(large):
    web = large.engine.query(
        f"""select count(*) as n, count_if(value = item_total::int) as same
            from ({large.rows("web/*.ndjson")}) as hits
            join ({large.rows("shop/orders_*.csv")}) as orders using (order_no)"""
    ).iloc[0]
    assert web["n"] == web["same"] > 0
    told = large.truth["sales"]
    assert told["in_shop"] == large.count("shop/orders_*.csv", "true")
    assert told["in_web"] < told["in_shop"] < told["true"]
    assert 0.17 < told["guest"] / told["true"] < 0.26


def test_the_pain_point_is_in_the_web_hits(large):
    since = stories.start_us(stories.PAIN_SINCE)
    counts = large.engine.query(
        f"""select device, count(distinct case when event_name = 'purchase' then visit end)
                / count(distinct visit) as share
            from (select *, client_id || session_id as visit from web
                where {SANE} and event_timestamp >= {since}) as hits
            where event_name in ('begin_checkout', 'purchase') group by device"""
    ).set_index("device")["share"]
    assert counts["android"] < 0.55
    assert counts["iphone"] > 0.7
    assert counts["desktop"] > 0.7


def test_a_good_consultation_raises_purchases(large):
    good = large.rate("is_bought", "consultation = 'good'")
    bad = large.rate("is_bought", "consultation = 'bad'")
    planted = stories.CONSULTATION_GOOD_GAIN + stories.CONSULTATION_BAD_LOSS
    assert good - bad == pytest.approx(planted, abs=0.12)


def test_the_loop_of_late_delivery_and_complaints_makes_people_leave(large):
    loop = large.rate("leaves", "is_late and delivery_calls > 1")
    rest = large.rate("leaves", "is_bought and place = 'web' and not is_late")
    assert loop - rest > 0.25


def test_video_works(large):
    shoppers = "person_no in (select person_no from people where home <> 'store')"
    seen = large.rate("wants", f"has_video and {shoppers}")
    others = large.rate("wants", f"not has_video and {shoppers}")
    assert seen - others == pytest.approx(stories.VIDEO_GAIN, abs=0.06)


def test_retargeting_looks_good_and_does_nothing(large):
    chance = "place = 'web' and touch_count > 1"
    naive, fair = (
        large.rate("wants", f"is_retargeted and {who}")
        - large.rate("wants", f"not is_retargeted and {chance} and {who}")
        for who in ("true", "is_strong")
    )
    assert naive > 0.06
    assert fair == pytest.approx(0, abs=0.07)


def test_the_arms_of_the_mail_test_are_alike_but_for_the_mail(large):
    told = large.truth["stories"]["mail_holdout"]
    arms = told["arms"]
    assert abs(arms["treatment"]["people"] / arms["control"]["people"] - 1) < 0.2
    assert 0.02 < told["true_visit_lift"] < stories.MAIL_VISIT_RATE
    assert told["true_purchase_lift"] > 0.01


def test_visits_shift_on_the_known_day_and_seasons_show(large):
    told = large.truth["stories"]
    shift = told["level_shift"]
    assert 1.12 < shift["visits_a_day_after"] / shift["visits_a_day_before"] < 1.45
    months = told["season"]["sales_by_month"]
    assert months["2025-12"] > 1.2 * months["2026-02"]
    days = told["season"]["sales_by_weekday"]
    assert days["7"] > days["2"]


def test_loyal_people_are_worth_more_than_those_at_risk(large):
    kinds = large.truth["stories"]["segments"]
    assert kinds["loyal"]["revenue_a_person"] > 2 * kinds["at_risk"]["revenue_a_person"]
    assert kinds["at_risk"]["left_rate"] > 4 * kinds["loyal"]["left_rate"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"customers": 99}, "customers=99 must be from 100 to 10,000,000"),
        ({"customers": 10_000_001}, "must be from"),
        ({"customers": 2.5}, "whole number"),
        ({"seed": "x"}, "seed='x' must be a whole number"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, options, message):
    with pytest.raises(CjkitError, match=message):
        make_sample(tmp_path, **options)
    assert not list(tmp_path.iterdir())


def test_a_target_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "taken").write_text("mine")
    with pytest.raises(CjkitError, match="cannot be written"):
        make_sample(tmp_path / "taken", customers=100)
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_full_disk_is_seen_before_a_byte_is_written(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1_000_000)
    monkeypatch.setattr(company.shutil, "disk_usage", lambda path: usage)
    with pytest.raises(CjkitError, match="Ask for fewer customers"):
        make_sample(tmp_path, customers=20_000)
    assert not list(tmp_path.iterdir())
    assert estimate_bytes(2_000_000) < 2 * estimate_bytes(1_000_000)


def test_an_interrupted_run_leaves_the_earlier_sample_whole(tmp_path, monkeypatch):
    make_sample(tmp_path, customers=100, threads=1)
    before = digests(tmp_path)

    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(company.voice, "write_voices", stop)
    with pytest.raises(KeyboardInterrupt):
        make_sample(tmp_path, customers=100, seed=9, threads=1)
    assert digests(tmp_path) == before


def test_a_large_company_comes_in_parts_with_ids_of_their_own(tmp_path, monkeypatch):
    monkeypatch.setattr(company, "_PEOPLE_A_PART", 120)
    monkeypatch.setattr(company, "_MOST_NDJSON", 150)
    made = build(tmp_path, 200, threads=1)
    files = sorted(path.name for path in (tmp_path / "exports/crm").glob("customers*"))
    assert files == ["customers_part01.csv", "customers_part02.csv"]
    assert (tmp_path / "exports/web/web_events_2026q4_part02.parquet").is_file()
    assert made.count("web/*", "event_name = 'purchase'") > 0
    ids = made.engine.query(
        f"""select namespace, count(*) - count(distinct source_id) as shared
            from read_parquet('{tmp_path}/truth/identities*.parquet')
            where namespace <> 'cookie' group by namespace"""
    )
    assert not ids["shared"].any()
    orders = made.count("shop/orders_*.csv", "true", "count(distinct order_no)")
    assert orders == made.count("shop/orders_*.csv", "true") == made.truth["sales"]["in_shop"]


def test_a_last_part_of_one_person_is_a_part_like_any_other(tmp_path, monkeypatch):
    monkeypatch.setattr(company, "_PEOPLE_A_PART", 120)
    alone = build(tmp_path / "alone", 120, threads=1).truth
    with_one_more = build(tmp_path / "more", 121, threads=1).truth
    assert with_one_more["customers"] == 121
    assert 0 <= with_one_more["sales"]["true"] - alone["sales"]["true"] < 30
    advised = [told["stories"]["store_consultation"]["good"] for told in (alone, with_one_more)]
    assert 0 < advised[0] <= advised[1]


def test_stories_tell_what_is_planted():
    told = STORIES.read_text(encoding="utf-8")
    planted = [
        stories.PAIN_SINCE.isoformat(),
        stories.SHIFT_DAY.isoformat(),
        *(day.isoformat() for day in stories.MAIL_TEST + stories.RETARGETING_TEST),
        f"{stories.CHECKOUT_RATE:.0%}",
        f"{stories.PAIN_CHECKOUT_RATE:.0%}",
        f"+{100 * stories.CONSULTATION_GOOD_GAIN:.0f}",
        f"-{100 * stories.CONSULTATION_BAD_LOSS:.0f}",
        f"+{100 * stories.VIDEO_GAIN:.0f}",
        f"+{100 * stories.LEAVES_AFTER_LOOP:.0f}",
        *stories.NULL_TOUCHPOINTS,
        *stories.SEGMENTS,
    ]
    assert [word for word in planted if word not in told] == []


@pytest.mark.long
def test_stories_quote_the_default_sample(tmp_path):
    told = STORIES.read_text(encoding="utf-8")
    truth = build(tmp_path, 20_000).truth
    tales, sales = truth["stories"], truth["sales"]
    figures = [
        *(f"{count:,}" for count in truth["dirt"].values()),
        *(f"{sales[name]:,}" for name in ("true", "in_web", "in_shop", "in_till", "in_crm")),
        *(f"{kind['revenue_a_person']:,.0f}" for kind in tales["segments"].values()),
        *(f"{kind['sales']:,}" for kind in tales["segments"].values()),
        f"{tales['checkout_pain']['lost_orders']:,}",
        *(
            f"{100 * tales[tale][name]:.1f}"
            for tale, name in [
                ("checkout_pain", "completion_rate"),
                ("checkout_pain", "checkout_to_purchase_rate"),
                ("store_consultation", "purchase_rate_good"),
                ("store_consultation", "true_effect_good"),
                ("store_consultation", "true_effect_bad"),
                ("late_delivery_loop", "late_rate"),
                ("late_delivery_loop", "leaving_rate_loop"),
                ("retargeting", "last_touch_share_of_web_purchases"),
                ("video", "true_effect"),
                ("video", "first_touch_share_of_web_purchases"),
                ("mail_holdout", "true_visit_lift"),
                ("mail_holdout", "true_purchase_lift"),
            ]
        ),
    ]
    assert [figure for figure in figures if figure not in told] == []
