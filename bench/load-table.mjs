/* The table of `npm run load`. */
import { percentiles } from './open-loop.mjs'

const names = {
  keep: '/call-tool, a value is kept',
  recall: '/call-tool, values are filled in',
  remote: '/call-tool, a server over HTTP',
  list: '/tools',
  session: 'GET /session',
  put: 'PUT /session/values',
  stream: '/call-tool as events, beyond its 100 ms',
  reopen: '/init, then /shutdown',
  health: '/health',
  fresh: '/call-tool, a process of its own'
}
const shares = [0.5, 0.9, 0.99, 0.999]
const ms = value => `${value.toFixed(1)} ms`

/** The table in Markdown. `load` and `control` are the outcomes of many sessions and of 10. */
export function loadTable (run) {
  const { load, control, kinds, bytes: [openedBytes, usedBytes], startMb, endMb } = run
  const row = (name, outcomes) => {
    const failed = outcomes.filter(({ status }) => status !== 200).length
    return `| ${[name, outcomes.length, failed, ...percentiles(outcomes, shares).map(ms)].join(' | ')} |`
  }
  const ratio = percentiles(load, [0.99])[0] / percentiles(control, [0.99])[0]
  return [
    `${run.machine}`,
    '',
    `${run.sessionCount.toLocaleString('en')} live sessions, ${run.rate} requests/s for ${run.seconds} s through nginx to ` +
      `${run.workerCount} workers. A time runs from when its request was due.`,
    '',
    '| requests | count | failed | p50 | p90 | p99 | p99.9 |',
    '| --- | --- | --- | --- | --- | --- | --- |',
    row('**all**', load),
    row('all, with 10 sessions', control),
    ...kinds.map(kind => row(names[kind], load.filter(outcome => outcome.kind === kind))),
    '',
    `The p99 is ${ratio.toFixed(2)} times that of 10 sessions. A session takes ${openedBytes.toLocaleString('en')} bytes of ` +
      `Redis when it is opened, and ${usedBytes.toLocaleString('en')} in use. ` +
      `The workers have ${startMb.join(' and ')} MB at the start, and ${endMb.join(' and ')} MB at the end.`
  ].join('\n')
}
