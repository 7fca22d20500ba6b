// @ts-check

/** @import { ChartConfig } from './charts.mjs' */
/** @import { Strategy } from './strategy.mjs' */

/**
 * A dashboard as markdown: a heading for each chart and a list of its settings, for people to read and to change.
 * What is written here, configuration-parser.mjs reads; between the two anything may have happened to it.
 */

/**
 * The settings in the order they are written, under the names that people see.
 * @type {Array<[string, keyof ChartConfig]>}
 */
export const SETTINGS = [
  ['chart', 'chart'], ['x', 'x'], ['time unit', 'timeUnit'], ['y', 'y'], ['aggregate', 'aggregate'],
  ['split by', 'splitBy'], ['sort', 'sort'], ['limit', 'limit']
]

/**
 * @param {string} question
 * @param {Strategy} strategy
 * @returns {string}
 */
export function writeConfiguration (question, strategy) {
  const lines = [
    `# ${oneLine(question)}`,
    '',
    'Each `##` heading below is one chart, each `-` line one of its settings. Change, add or remove them freely;',
    'lines that begin with `>` are remarks.',
    ''
  ]
  for (const note of strategy.notes ?? []) lines.push(`> ${oneLine(note)}`, '')

  const names = new Set()
  for (const chart of strategy.charts) {
    let name = oneLine(chart.name)
    while (names.has(name)) name += ' (again)'
    names.add(name)
    lines.push(`## ${name}`, '')
    for (const [label, field] of SETTINGS) {
      const value = /** @type {Record<string, unknown>} */ (chart)[field]
      if (value !== undefined) lines.push(`- ${label}: ${value}`)
    }
    for (const { column, values } of chart.only ?? []) lines.push(`- only: ${column} = ${values.join(' | ')}`)
    if (chart.reason) lines.push('', `> ${oneLine(chart.reason)}`)
    lines.push('')
  }
  return lines.join('\n')
}

/** @param {string} text */
function oneLine (text) {
  return text.replace(/\s+/g, ' ').trim()
}
