"""Exports of those who sell: CRM, web shop and tills, with the dirt that such files have."""

from __future__ import annotations

from datetime import date

from cjkit.engine import DuckDB
from cjkit.synthetic.dice import Dice
from cjkit.synthetic.exports import Exports, full_width, local, repeated
from cjkit.synthetic.people import OFFICE_PHONE
from cjkit.synthetic.stories import DAY_US, END_US, start_us

YEARS = (2024, 2025, 2026)
_DOUBLE_RATE = 0.03
_FORMER_TOWN = "夜明市はじまり町"
_SECOND, _MINUTE = "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M"
_JAPANESE_SECOND, _DAY = "%Y/%m/%d %H:%M:%S", "%Y/%m/%d"


def make_crm_records(engine: DuckDB, dice: Dice, most: int) -> None:
    """Make table `crm_records`: each member's record, and the second records of some people.

    A second record shares with the first the e-mail (written differently), or the phone, or only
    name and address.
    """
    d, p = dice, "person_no"
    twin = d.uniform("twin", p)
    second = f"'C' || lpad({d.permuted('crm', f'{p} + {most}', 2 * most)}::varchar, 8, '0')"
    engine.materialize(
        "crm_records",
        f"""select person_no, role, crm_no, login_id, loyalty_no, full_name, full_kana, email,
            case when {d.chance("office phone", 0.003, p)} then '{OFFICE_PHONE}' else phone end
                as phone, postcode, prefecture, address, birth_year, joined_us, joined_by,
            is_opted_in and opted_out_us is null as is_opted_in, left_us, false as is_second
        from people left join leavers using (person_no) where is_member
        union all
        select person_no, role, {second}, null, null, full_name, full_kana,
            case when {twin} < 0.45 then upper(email) end,
            case when {twin} between 0.45 and 0.75 then phone end,
            postcode, prefecture, address, birth_year,
            joined_us + cast({d.uniform("second", p)} * ({END_US} - joined_us) as bigint), '店舗',
            false, null, true
        from people where is_member and role = 'customer'
            and {d.chance("has second", _DOUBLE_RATE, p)}""",
    )
    engine.materialize(
        "seconds", "select person_no, crm_no as second_crm_no from crm_records where is_second"
    )


def write_crm(exports: Exports, dice: Dice) -> None:
    """Write the customers, with older versions of some records, and their purchase history."""
    d, key = dice, ("person_no", "is_second")
    changed = "joined_us + cast({} * ({} - joined_us) as bigint)"
    wide = d.uniform("wide", *key)
    former = (
        f"'{_FORMER_TOWN}' || {d.whole('former house', 1, 99, *key)}"
        f" || '-' || {d.whole('former door', 1, 20, *key)}"
    )
    versions = f"""
        select *, {changed.format(d.uniform("changed", *key), END_US)} as changed_us, 1 as version
        from crm_records
        union all select * replace ({former} as address), joined_us as changed_us, 0
        from crm_records where {d.chance("old version", 0.08, *key)}"""
    hyphened = "substr(phone, 1, 3) || '-' || substr(phone, 4, 4) || '-' || substr(phone, 8)"
    written = f"""
        select *, case when {wide} between 0.02 and 0.04 then replace(full_name, ' ', '　')
                else full_name end as written_name,
            case when {d.chance("no e-mail", 0.03, *key)} then null
                when {wide} < 0.02 then {full_width("email")} else email end as written_email,
            case when {wide} between 0.04 and 0.06 then {full_width(hyphened)}
                when {d.chance("plain phone", 0.2, *key)} then phone else {hyphened} end
                as written_phone
        from ({versions}) as versions"""
    dirt = f"""nullif(concat_ws(',', case when version = 0 then 'old_version' end,
        case when is_second then 'duplicate_person' end,
        case when phone = '{OFFICE_PHONE}' then 'shared_phone' end,
        case when written_name <> full_name or written_email <> lower(email)
            or written_phone = {full_width("written_phone")} then 'width_variant' end,
        case role when 'staff' then 'employee' when 'test' then 'test_account' end), '')"""
    records = f"""
        select crm_no as "顧客番号", login_id as "ログインID", loyalty_no as "会員カード番号",
            written_name as "氏名", full_kana as "氏名カナ", written_email as "メールアドレス",
            written_phone as "電話番号", postcode as "郵便番号", prefecture as "都道府県",
            address as "住所", birth_year as "生年",
            {local("joined_us", _JAPANESE_SECOND)} as "登録日時", joined_by as "登録経路",
            case when spent > 150000 then 'ゴールド' when spent > 40000 then 'シルバー'
                else 'レギュラー' end as "会員ランク",
            is_opted_in::int as "メール配信", {local("changed_us", _JAPANESE_SECOND)} as "更新日時",
            case when {d.chance("withdraws", 0.1, *key)} and left_us < {END_US - 20 * DAY_US}
                then {local(f"left_us + {10 * DAY_US}", _DAY)} end as "退会日",
            joined_us as _at, hash(crm_no, version) as _id, {dirt} as _dirt
        from ({written}) as written left join (
            select person_no, sum(amount) as spent from sales where is_in_crm group by person_no)
            using (person_no)"""
    exports.write("crm/customers.csv", records, encoding="cp932")
    history = f"""
        select case when {d.chance("second record", 0.25, "sale_no")}
                then coalesce(second_crm_no, crm_no) else crm_no end as "顧客番号",
            {local("at_us", _DAY)} as "購入日", amount as "購入金額",
            case when place = 'web' then 'EC' else store_code end as "購入場所",
            case when keeps_number then coalesce(order_no, receipt_no) end as "伝票番号",
            at_us as _at, sale_no as _id, sale_no as _sale_no,
            null::varchar as _dirt
        from sales left join seconds using (person_no) where is_in_crm"""
    by_year(exports, "crm/purchase_history", repeated(d, history, "twice crm", 0.004), "cp932")


def write_shop(exports: Exports, dice: Dice) -> None:
    """Write the web shop's orders, their lines, what came back, and the catalogue."""
    d, line = dice, ("sale_no", "line_no")
    fault = d.uniform("fault", *line)
    guest = "case when is_logged_in then login_id end"
    lines = f"""
        select order_no, line_no, case when {fault} < 0.0005 then '1970-01-01 00:00:00'
                else {local("sales.at_us", _SECOND)} end as ordered_at,
            {guest} as login_id, email, product_id, name_ja as product_name,
            sale_lines.category, quantity, unit_price,
            quantity * unit_price - sale_lines.amount as discount,
            case when {fault} between 0.0005 and 0.001 then 99999999
                when {fault} between 0.001 and 0.002 then -sale_lines.amount
                else sale_lines.amount end as amount,
            case when {fault} between 0.002 and 0.0025 then 'USD' else 'JPY' end as currency,
            sales.at_us as _at, sale_no * 100 + line_no as _id,
            case when line_no = 1 then sale_no end as _sale_no,
            case when {fault} < 0.0005 then 'date_1970' when {fault} < 0.001 then 'absurd_amount'
                when {fault} < 0.002 and sale_lines.amount > 0 then 'negative_amount'
                when {fault} between 0.002 and 0.0025 then 'wrong_currency' end as _dirt
        from sales join sale_lines using (sale_no) where place = 'web'
        union all
        select 'W9' || lpad(sale_no::varchar, 8, '0'), 1, {local("sales.at_us", _SECOND)}, null,
            null, product_id, name_ja, sale_lines.category, quantity, unit_price, 0,
            quantity * unit_price, 'JPY', sales.at_us, sale_no * 100 + 99, null, 'orphan_line'
        from sales join sale_lines using (sale_no)
        where place = 'web' and line_no = 1 and {d.chance("orphan", 0.002, "sale_no")}"""
    by_year(exports, "shop/order_lines", repeated(d, lines, "twice line", 0.012))
    impossible = f"not is_pickup and {d.chance('impossible', 0.004, 'sale_no')}"
    orders = f"""
        select order_no, {local("at_us", _SECOND)} as ordered_at, {guest} as login_id, email, phone,
            case when is_pickup then 'store_pickup' else 'home' end as delivery_method,
            case when not is_pickup then carrier end as carrier,
            case when not is_pickup
                then {local(f"at_us + promised_days * {DAY_US}", "%Y-%m-%d")} end as promised_on,
            case when shipped_us < {END_US} then {local("shipped_us", _SECOND)} end as shipped_at,
            case when arrived_us < {END_US} then {local("arrived_us", _SECOND)} end
                as delivered_at,
            amount as item_total, case when amount < 5000 then 550 else 0 end as shipping_fee,
            amount + case when amount < 5000 then 550 else 0 end as total,
            case when has_coupon then 'HOSHI10' end as coupon_code,
            {d.pick("payment", {"card": 70, "convenience_store": 15, "qr": 15}, "sale_no")}
                as payment_method,
            at_us as _at, sale_no as _id, null as _sale_no,
            case when {impossible} then 'impossible_order' end as _dirt
        from (select *, case when {impossible} then at_us - {DAY_US} else delivered_us end
                as arrived_us, coalesce(delivered_us, paid_us) - cast((coalesce(delivered_us,
                    paid_us) - at_us) * 0.4 as bigint) as shipped_us
            from sales where place = 'web') as sent"""
    by_year(exports, "shop/orders", orders)
    exports.write(
        "shop/returns.csv",
        f"""select return_no, order_no, line_no, {local("returned_us", _SECOND)} as returned_at,
            {guest} as login_id, email, product_id, line_category as category,
            -quantity as quantity, -line_amount as amount, reason, returned_us as _at,
            sale_no * 100 + line_no as _id, null::varchar as _dirt
        from returned_lines where place = 'web'""",
    )
    exports.write(
        "shop/products.csv",
        """select product_id, name_ja, name_en, category, price, 0 as _at, n as _id,
            null::varchar as _dirt from products""",
    )


def write_tills(exports: Exports, dice: Dice) -> None:
    """Write the receipts of the stores' tills, one row a line, with half-width names."""
    d, line = dice, ("sale_no", "line_no")
    fault = f"case when kind = '売上' then {d.uniform('till fault', *line)} end"
    lines = f"""
        select sale_no, line_no, receipt_no, paid_us as till_us, store_code,
            case when is_card_shown then loyalty_no end as card, order_no, '売上' as kind,
            1 as sign, null as first_receipt_no, product_id, name_receipt, sale_lines.category,
            quantity, unit_price, sale_lines.amount
        from sales join sale_lines using (sale_no)
        where receipt_no is not null and paid_us < {END_US}
        union all
        select sale_no, line_no, store_code || '-8' || substr(return_no, 3), returned_us,
            store_code, case when is_card_shown then loyalty_no end, null, '返品', -1, receipt_no,
            product_id, name_receipt, line_category, quantity, unit_price, line_amount
        from returned_lines where place = 'store'"""
    records = f"""
        select receipt_no as "レシート番号", line_no as "行番号",
            {local("till_us", _MINUTE)} as "取引日時", store_code as "店舗コード",
            store_name as "店舗名", card as "会員カード番号", order_no as "受注番号",
            kind as "取引区分", product_id as "商品コード", name_receipt as "商品名",
            category as "分類", sign * quantity as "数量", unit_price as "単価",
            quantity * unit_price - amount as "値引額",
            case when fault < 0.0008 then -amount when fault < 0.0011 then 99999999
                else sign * amount end as "金額",
            {d.pick("till payment", {"現金": 35, "カード": 40, "QR": 25}, "sale_no")} as "支払方法",
            first_receipt_no as "元レシート番号", till_us as _at,
            sale_no * 1000 + line_no * 10 + sign as _id,
            case when line_no = 1 and sign = 1 then sale_no end as _sale_no,
            case when fault < 0.0008 and amount > 0 then 'negative_amount'
                when fault between 0.0008 and 0.0011 then 'absurd_amount' end as _dirt
        from (select *, {fault} as fault from ({lines}) as lines) as lines
        join stores using (store_code)"""
    by_year(exports, "pos/receipts", repeated(d, records, "twice till", 0.003), "cp932")


def by_year(exports: Exports, name: str, records: str, encoding: str = "utf-8") -> None:
    """Write one file for each local year."""
    every = exports.engine.materialize("every_year", records)
    for year in YEARS:
        first, end = start_us(date(year, 1, 1)), start_us(date(year + 1, 1, 1))
        own = f"select * from {every} where _at >= {first} and _at < {end}"
        exports.write(f"{name}_{year}.csv", own, encoding=encoding)
