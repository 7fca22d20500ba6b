/*
 * Prints the failed tests of a tap report with their diagnostics, then "N passed, N failed" from the summary that tap
 * writes at its end. The failures come again because a reader of a long log sees its end.
 */
import { readFileSync } from 'node:fs'

/** Lines of diagnostics that are repeated per failure. */
const diagnosticLines = 40

const report = readFileSync(process.argv[2], 'utf8')
const summary = /^# \{ total: (\d+)([^}]*)\}/m.exec(report)
for (const line of failuresOf(report.split('\n'))) console.log(line)
if (summary === null) throw new Error('the report has no summary: the test runner did not finish')
const count = name => Number(new RegExp(`\\b${name}: (\\d+)`).exec(summary[2])?.[1] ?? 0)
console.log(`${count('pass')} passed, ${count('fail')} failed`)

/** Each "not ok" line, from the innermost test outwards, with what the report says about it. */
function failuresOf (lines) {
  return lines.flatMap((line, index) => {
    if (!/^\s*not ok /.test(line)) return []
    const following = lines.slice(index + 1, index + 1 + diagnosticLines)
    const indent = /^\s*/.exec(line)[0]
    const end = following.findIndex(next => next.startsWith(`${indent}  ...`))
    const diagnostics = following[0]?.startsWith(`${indent}  ---`) === true
    return [line, ...(diagnostics ? following.slice(0, end === -1 ? diagnosticLines : end + 1) : [])]
  })
}
