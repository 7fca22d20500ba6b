/* Prints "N passed, N failed" from the summary that tap writes at the end of its report. */
import { readFileSync } from 'node:fs'

const report = readFileSync(process.argv[2], 'utf8')
const summary = /^# \{ total: (\d+)([^}]*)\}/m.exec(report)
if (summary === null) throw new Error('the report has no summary: the test runner did not finish')
const count = name => Number(new RegExp(`\\b${name}: (\\d+)`).exec(summary[2])?.[1] ?? 0)
console.log(`${count('pass')} passed, ${count('fail')} failed`)
