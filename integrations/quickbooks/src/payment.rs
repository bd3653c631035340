//! Payments of invoices and bills. One of QuickBooks' may pay for several of them: each part is a payment here.

use crate::entry::{EntryId, booked, currency_of};
use crate::ledger::read;
use crate::wire::{Cheque, Line, Linked, Payment as WirePayment, Ref, Txn};
use crate::{Quickbooks, means, quoted, request_id};
use chrono::NaiveDate;
use kernel::{Currency, Money};
use ports::{Book, Fault, Payment, Place};
use providers::Decimal;

/// Payments that are asked for at once.
const AT_ONCE: usize = 100;

/// What QuickBooks calls payments of this book.
pub fn name(book: Book) -> &'static str {
    match book {
        Book::Sales => "Payment",
        Book::Purchases => "BillPayment",
    }
}

/// The payments of an entry.
pub async fn of(quickbooks: &Quickbooks, at: Place, book: Book, txn: &Txn) -> Result<Vec<Payment>, Fault> {
    let currency = currency_of(txn)?;
    let entry_id = txn.id.as_deref().unwrap_or_default();
    let found = linked(quickbooks, at, book, txn).await?;
    found.iter().filter_map(|payment| part(book, entry_id, payment, currency).transpose()).collect()
}

async fn linked(quickbooks: &Quickbooks, at: Place, book: Book, txn: &Txn) -> Result<Vec<WirePayment>, Fault> {
    // Those of bills say how besides: `BillPaymentCheck`.
    let is_payment = |one: &&Linked| one.txn_type.starts_with(name(book));
    let mut ids: Vec<String> = txn.linked_txn.iter().filter(is_payment).map(|one| quoted(&one.txn_id)).collect();
    ids.sort_unstable();
    ids.dedup();
    let mut found = vec![];
    for ids in ids.chunks(AT_ONCE) {
        let asked = format!("where Id in ({}) maxresults {AT_ONCE}", ids.join(", "));
        found.extend(quickbooks.query::<WirePayment>(at, name(book), &asked).await?);
    }
    Ok(found)
}

/// What of a payment is of this entry; none if no money came, as where a credit note was set against it.
fn part(book: Book, entry_id: &str, payment: &WirePayment, currency: Currency) -> Result<Option<Payment>, Fault> {
    let broken = |what: &str| Fault::Later(None, format!("a payment of QuickBooks' has no {what} that can be read"));
    let money = |amount: &Option<Decimal>| match amount {
        Some(amount) => amount.money(currency).ok_or_else(|| broken("amount")),
        None => Ok(Money::zero(currency)),
    };
    let is_of_it = |linked: &Linked| linked.txn_type == EntryId::name(book) && linked.txn_id == entry_id;
    let mut sum = Money::zero(currency);
    for line in payment.line.iter().filter(|line| line.linked_txn.iter().any(is_of_it)) {
        sum = sum.plus(money(&line.amount)?).map_err(|_| broken("amount"))?;
    }
    let all = money(&payment.total_amt)?;
    let amount = if all.minor() < sum.minor() { all } else { sum };
    if amount.minor() <= 0 {
        return Ok(None);
    }
    let id = payment.id.as_deref().ok_or_else(|| broken("Id"))?;
    let dated = payment.txn_date.as_deref().and_then(|day| day.parse().ok()).ok_or_else(|| broken("TxnDate"))?;
    Ok(Some(Payment { payment_id: format!("{}-{id}-{entry_id}", name(book).to_lowercase()), dated, amount }))
}

/// See [`ports::Ledger::pay`]. QuickBooks takes more than is owed and any number of payments, so it is looked what there is before.
pub async fn pay(
    quickbooks: &Quickbooks,
    at: Place,
    key: &str,
    entry_id: &str,
    account: &str,
    (dated, amount): (NaiveDate, Money),
) -> Result<Payment, Fault> {
    let entry: EntryId = entry_id.parse()?;
    let known = read(quickbooks, at, &entry).await?;
    let currency = currency_of(&known)?;
    let mark = request_id(key);
    let is_ours = |one: &&WirePayment| one.private_note.as_deref() == Some(mark.as_str());
    let before = linked(quickbooks, at, entry.book, &known).await?;
    if let Some(ours) = before.iter().find(is_ours).map(|ours| part(entry.book, &entry.id, ours, currency)) {
        return ours?.ok_or_else(|| Fault::Never("taken", "the payment was changed at QuickBooks".to_owned()));
    }
    if amount.currency() != currency || amount.minor() > booked(entry.book, &known, vec![])?.due.minor() {
        return Err(Fault::Never("too_much", "more is paid than is owed".to_owned()));
    }
    let from = Ref { value: means::account(quickbooks, at, account).await?.id };
    let linked = vec![Linked { txn_id: entry.id.clone(), txn_type: EntryId::name(entry.book).to_owned() }];
    let line = Line { amount: Decimal::of(amount), linked_txn: linked, ..Line::default() };
    let plain = WirePayment {
        txn_date: Some(dated.to_string()),
        total_amt: Decimal::of(amount),
        private_note: Some(mark),
        currency_ref: known.currency_ref.clone(),
        line: vec![line],
        ..WirePayment::default()
    };
    let wanted = match entry.book {
        Book::Sales => {
            WirePayment { customer_ref: known.customer_ref.clone(), deposit_to_account_ref: Some(from), ..plain }
        }
        Book::Purchases => WirePayment {
            vendor_ref: known.vendor_ref.clone(),
            pay_type: Some("Check".to_owned()),
            check_payment: Some(Cheque { bank_account_ref: Some(from) }),
            ..plain
        },
    };
    let made: WirePayment = quickbooks.write(at, name(entry.book), key, None, &wanted).await?;
    let made = part(entry.book, &entry.id, &made, currency).ok().flatten();
    made.ok_or_else(|| Fault::Unknown("QuickBooks names no payment".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Option<(String, i64)> {
        let payment = serde_json::from_str(text).unwrap();
        let found = part(Book::Sales, "130", &payment, "EUR".parse().unwrap()).unwrap();
        found.map(|one| (one.payment_id, one.amount.minor()))
    }

    #[test]
    fn of_a_payment_of_several_invoices_only_this_ones_part_counts() {
        let two = r#"{"Id":"7","TxnDate":"2026-11-30","TotalAmt":30,"Line":[
            {"Amount":10,"LinkedTxn":[{"TxnId":"130","TxnType":"Invoice"}]},
            {"Amount":20,"LinkedTxn":[{"TxnId":"131","TxnType":"Invoice"}]}]}"#;
        assert_eq!(parts(two), Some(("payment-7-130".to_owned(), 1_000)));
    }

    #[test]
    fn a_credit_that_is_set_against_an_invoice_is_no_money() {
        let credit = r#"{"Id":"7","TxnDate":"2026-11-30","TotalAmt":0,"Line":[
            {"Amount":10,"LinkedTxn":[{"TxnId":"130","TxnType":"Invoice"}]},
            {"Amount":10,"LinkedTxn":[{"TxnId":"140","TxnType":"CreditMemo"}]}]}"#;
        assert_eq!(parts(credit), None);
        let both = credit.replace("\"TotalAmt\":0", "\"TotalAmt\":4");
        assert_eq!(parts(&both), Some(("payment-7-130".to_owned(), 400)));
    }
}
