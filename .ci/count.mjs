/*
 * Prints the failed tests of tap reports with their diagnostics, then "N passed, N failed" from the summaries that tap
 * writes at their ends. The failures come again because a reader of a long log sees its end.
 */
import { readFileSync } from 'node:fs'

/** Lines of diagnostics that are repeated per failure. */
const diagnosticLines = 40

const reports = process.argv.slice(2).map(file => readFileSync(file, 'utf8'))
const summaries = reports.map(report => /^# \{ total: (\d+)([^}]*)\}/m.exec(report))
for (const line of reports.flatMap(report => failuresOf(report.split('\n')))) console.log(line)
if (summaries.includes(null)) throw new Error('a report has no summary: the test runner did not finish')
const count = name => summaries.reduce((sum, [, , counts]) =>
  sum + Number(new RegExp(`\\b${name}: (\\d+)`).exec(counts)?.[1] ?? 0), 0)
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
