"""What customers are worth: who comes back, how often they buy and what they will bring.

Counted: `measure_retention`, `measure_cohort_revenue`. Modelled on weighted distinct histories:
`fit_purchases` (BG/NBD, MBG/NBD), `fit_spend` (Gamma-Gamma), `predict_purchases`, `predict_value`;
and always beside them `backtest_purchases` and `backtest_segments`.
`notebooks/04_lifetime_value.ipynb` is the analysis that this module serves.
"""

from cjkit.lifetime_value.acquisition import (
    Acquisition,
    Payback,
    find_first_touches,
    measure_acquisition,
)
from cjkit.lifetime_value.advocacy import Advocacy, measure_advocacy
from cjkit.lifetime_value.at_risk import AtRisk, rank_at_risk
from cjkit.lifetime_value.backtest import Backtest, backtest_purchases, backtest_segments
from cjkit.lifetime_value.comparison import Comparison, Tracking
from cjkit.lifetime_value.day_retention import DayRetention, measure_day_retention
from cjkit.lifetime_value.estimation import Estimate
from cjkit.lifetime_value.groups import (
    Concentration,
    GroupValue,
    compare_value,
    measure_concentration,
)
from cjkit.lifetime_value.histories import Histories, Obstacle, read_histories
from cjkit.lifetime_value.purchase_model import PurchaseModel
from cjkit.lifetime_value.purchases import (
    PurchaseFit,
    PurchaseOutlook,
    fit_purchases,
    predict_purchases,
)
from cjkit.lifetime_value.renewal_model import RenewalModel
from cjkit.lifetime_value.renewals import RenewalFit, fit_renewals
from cjkit.lifetime_value.retention import Retention, RetentionCurve, measure_retention
from cjkit.lifetime_value.revenue import CohortRevenue, measure_cohort_revenue
from cjkit.lifetime_value.simulation import Interval
from cjkit.lifetime_value.spend import SpendFit, fit_spend
from cjkit.lifetime_value.spend_model import SpendModel
from cjkit.lifetime_value.survival import Survival, measure_survival
from cjkit.lifetime_value.value import Value, predict_value

__all__ = [
    "Acquisition",
    "Advocacy",
    "AtRisk",
    "Backtest",
    "CohortRevenue",
    "Comparison",
    "Concentration",
    "DayRetention",
    "Estimate",
    "GroupValue",
    "Histories",
    "Interval",
    "Obstacle",
    "Payback",
    "PurchaseFit",
    "PurchaseModel",
    "PurchaseOutlook",
    "RenewalFit",
    "RenewalModel",
    "Retention",
    "RetentionCurve",
    "SpendFit",
    "SpendModel",
    "Survival",
    "Tracking",
    "Value",
    "backtest_purchases",
    "backtest_segments",
    "compare_value",
    "find_first_touches",
    "fit_purchases",
    "fit_renewals",
    "fit_spend",
    "measure_acquisition",
    "measure_advocacy",
    "measure_cohort_revenue",
    "measure_concentration",
    "measure_day_retention",
    "measure_retention",
    "measure_survival",
    "predict_purchases",
    "predict_value",
    "rank_at_risk",
    "read_histories",
]
