/** Cuts what floating-point arithmetic adds, so that figures stay short: whole above 100,000, else six digits. */
export function round (value) {
  return Math.abs(value) >= 100_000 ? Math.round(value) : Number(value.toPrecision(6))
}

/** A number for a sentence: `1,303,182,268`, `35.6`, `0.001234`. */
export function formatNumber (value) {
  const digits = Math.abs(value) >= 1000 ? { maximumFractionDigits: 0 } : { maximumSignificantDigits: 4 }
  return value.toLocaleString('en-US', digits)
}

/** A percentage for a sentence, to one decimal: nobody reads more. */
export function formatPercent (value) {
  return value > 0 && value < 0.1 ? 'less than 0.1 %' : `${formatNumber(Number(value.toFixed(1)))} %`
}
