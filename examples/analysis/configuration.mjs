import { MAX_CHARTS, checkChart } from './charts.mjs'
import { InputError } from './input-error.mjs'

/*
 * A dashboard as markdown: a heading for each chart and a list of its settings, for people to read and to change.
 * Anything may have happened to it between writing and reading.
 */

/** The fields of a chart in the order they are written. */
const SETTINGS = ['chart', 'x', 'timeUnit', 'y', 'aggregate', 'splitBy', 'sort', 'limit', 'only']
const IN_LOWER_CASE = ['chart', 'timeUnit', 'aggregate', 'sort']
const labelOf = field => field.replace(/[A-Z]/, letter => ` ${letter.toLowerCase()}`)
const splitAt = (text, mark) => [text.split(mark, 1)[0], text.slice(text.indexOf(mark) + 1)].map(part => part.trim())
const oneLine = text => text.replace(/\s+/g, ' ').trim()

export function writeConfiguration (question, { charts, notes = [] }) {
  const lines = [
    `# ${oneLine(question)}`,
    '',
    'Each `##` heading below is one chart, each `-` line one of its settings. Change, add or remove them freely;',
    'lines that begin with `>` are remarks.',
    '',
    ...notes.flatMap(note => [`> ${oneLine(note)}`, ''])
  ]
  for (const { name, reason = '', only = [], ...chart } of charts) {
    const given = SETTINGS.filter(field => chart[field] !== undefined)
    const settings = given.map(field => `- ${labelOf(field)}: ${chart[field]}`)
    const filters = only.map(({ column, values }) => `- only: ${column} = ${values.join(' | ')}`)
    lines.push(`## ${oneLine(name)}`, '', ...settings, ...filters, '', ...reason ? [`> ${oneLine(reason)}`, ''] : [])
  }
  return lines.join('\n')
}

/**
 * Reads a dashboard back and holds every chart against the columns of its source.
 * Throws an InputError that names the line and quotes it.
 */
export function parseConfiguration (markdown, { sourceId, columns }) {
  let title = ''
  const drafts = []
  for (const [index, line] of markdown.split(/\r\n|\r|\n/).entries()) {
    const text = line.trim()
    const place = `Line ${index + 1} of the configuration, "${text.slice(0, 120)}"`
    const problem = reason => new InputError(`${place}: ${reason}.`)
    const [, mark, heading = ''] = /^(##?)\s+(.*)$/.exec(text) ?? []
    if (mark === '##') {
      if (drafts.some(({ config }) => config.name === heading)) throw problem('another chart has this name')
      drafts.push({ config: { name: heading, sourceId }, problems: { name: problem } })
    } else if (mark === '#') {
      title ||= heading
    } else if (drafts.length > 0 && !/^($|>|```|---)/.test(text)) {
      // Before the first chart there is room for prose.
      readSetting(drafts.at(-1), text, problem)
    }
  }
  if (drafts.length === 0) throw new InputError('The configuration has no chart: each begins with a line "## <name>".')
  const tooMany = `The configuration has ${drafts.length} charts; ${MAX_CHARTS} is the most.`
  if (drafts.length > MAX_CHARTS) throw new InputError(tooMany)
  return { title: title || 'Dashboard', charts: drafts.map(draft => finishDraft(draft, columns)) }
}

function readSetting ({ config, problems }, text, problem) {
  if (!/^[-*+]\s[^:]+:/.test(text)) throw problem('it is neither "- setting: value" nor a remark beginning with ">"')
  const [label, quoted] = splitAt(text.slice(1), ':')
  const value = quoted.replace(/^`(.*)`$/, '$1')
  const field = SETTINGS.find(field => labelOf(field) === label.toLowerCase())
  if (!field) throw problem(`"${label}" is not a setting; these are: ${SETTINGS.map(labelOf).join(', ')}`)
  if (value === '') throw problem('the value is missing')
  if (field !== 'only' && field in problems) throw problem('this setting is there twice')
  problems[field] = problem
  if (field === 'only') config.only = [...config.only ?? [], readFilter(value, problem)]
  else if (field === 'limit') config.limit = Number(value)
  else config[field] = IN_LOWER_CASE.includes(field) ? value.toLowerCase() : value
}

function readFilter (text, problem) {
  const [column, list] = splitAt(text, '=')
  const values = list.split('|').map(value => value.trim()).filter(value => value !== '')
  if (!text.includes('=') || column === '' || values.length === 0) {
    throw problem('write it as "- only: column = value | other value"')
  }
  return { column, values }
}

function finishDraft ({ config, problems }, columns) {
  const missing = ['chart', 'x'].find(field => !(field in problems))
  if (missing) throw problems.name(`this chart has no line "- ${missing}: …"`)
  try {
    const chart = checkChart(config, columns)
    const kind = `a ${chart.chart} chart${chart.aggregate === 'count' ? ' that counts rows' : ''}`
    const unused = SETTINGS.find(field => field in problems && !(field in chart))
    // Dropping a setting without a word would leave its author wondering.
    if (unused) throw new InputError(`${kind} does not use "${labelOf(unused)}"`, { field: unused })
    return chart
  } catch (error) {
    throw error instanceof InputError ? (problems[error.field] ?? problems.name)(error.message) : error
  }
}
