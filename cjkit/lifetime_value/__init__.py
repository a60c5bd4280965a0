"""What customers are worth: who comes back, how often they buy and what they will bring.

Counted: `measure_retention`, `measure_cohort_revenue`. Modelled on weighted distinct histories:
`fit_purchases` (BG/NBD, MBG/NBD), `fit_spend` (Gamma-Gamma), `predict_purchases`, `predict_value`;
and always beside them `backtest_purchases`. `notebooks/04_lifetime_value.ipynb` is the analysis
that this module serves.
"""

from cjkit.lifetime_value.backtest import Backtest, backtest_purchases
from cjkit.lifetime_value.comparison import Comparison, Tracking
from cjkit.lifetime_value.estimation import Estimate
from cjkit.lifetime_value.histories import Histories, Obstacle, read_histories
from cjkit.lifetime_value.purchase_model import PurchaseModel
from cjkit.lifetime_value.purchases import (
    PurchaseFit,
    PurchaseOutlook,
    fit_purchases,
    predict_purchases,
)
from cjkit.lifetime_value.retention import Retention, RetentionCurve, measure_retention
from cjkit.lifetime_value.revenue import CohortRevenue, measure_cohort_revenue
from cjkit.lifetime_value.simulation import Interval
from cjkit.lifetime_value.spend import SpendFit, fit_spend
from cjkit.lifetime_value.spend_model import SpendModel
from cjkit.lifetime_value.value import Value, predict_value

__all__ = [
    "Backtest",
    "CohortRevenue",
    "Comparison",
    "Estimate",
    "Histories",
    "Interval",
    "Obstacle",
    "PurchaseFit",
    "PurchaseModel",
    "PurchaseOutlook",
    "Retention",
    "RetentionCurve",
    "SpendFit",
    "SpendModel",
    "Tracking",
    "Value",
    "backtest_purchases",
    "fit_purchases",
    "fit_spend",
    "measure_cohort_revenue",
    "measure_retention",
    "predict_purchases",
    "predict_value",
    "read_histories",
]
