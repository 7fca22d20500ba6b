import t from 'tap'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { fileURLToPath } from 'node:url'
import { signDemoToken, startDemoApi } from '../../examples/demo-api.mjs'
import { openApi } from './demo.ts'

const json = { 'content-type': 'application/json' }

function validate (apiUrl: string, body: unknown) {
  return fetch(`${apiUrl}/settings/validate`, { method: 'POST', headers: json, body: JSON.stringify(body) })
}

function bearer (jwtToken: string) {
  return { headers: { authorization: `Bearer ${jwtToken}` } }
}

t.test('a token that this API signed is valid', async t => {
  const credentials = await openApi(t)

  const response = await validate(credentials.apiUrl, credentials)

  t.equal(response.status, 200)
  t.strictSame(await response.json(), { status: 'success' })
})

t.test('a token that is not accepted is answered with the reason and never quoted', async t => {
  const { apiUrl } = await openApi(t)
  const [header, , signature] = (await signDemoToken()).split('.')
  const [, strangePayload] = (await signDemoToken({ subject: 'somebody-else' })).split('.')
  const unsigned = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${strangePayload}.`
  const cases: Array<[string, RegExp]> = [
    [await signDemoToken({ secret: 'a-secret-of-another-service-entirely' }), /not signed by this service/],
    [`${header}.${strangePayload}.${signature}`, /not signed by this service/],
    [await signDemoToken({ expiresInSeconds: -60 }), /expired/],
    [unsigned, /not a JSON Web Token of this service/],
    ['not.a.token', /not a JSON Web Token of this service/]
  ]
  for (const [jwtToken, reason] of cases) {
    const response = await validate(apiUrl, { apiUrl, jwtToken })
    const text = await response.text()

    t.equal(response.status, 401)
    t.match(JSON.parse(text), { status: 'error', error: reason })
    t.notOk(text.includes(jwtToken), 'the token is not in the answer')
  }
})

t.test('a body without the two settings is a bad request', async t => {
  const { apiUrl, jwtToken } = await openApi(t)
  for (const body of [
    {},
    { apiUrl },
    { jwtToken },
    { apiUrl, jwtToken: 7 },
    { apiUrl: '', jwtToken },
    [],
    null,
    'text'
  ]) {
    const response = await validate(apiUrl, body)

    t.equal(response.status, 400, JSON.stringify(body))
    t.match(await response.json(), { status: 'error', error: /^The body must/ })
  }
})

t.test('a body that is not JSON is a bad request, and one that is too large is refused', async t => {
  const { apiUrl } = await openApi(t)

  const broken = await fetch(`${apiUrl}/settings/validate`, { method: 'POST', body: '{"apiUrl": ' })
  const large = await validate(apiUrl, { apiUrl, jwtToken: 'x'.repeat(3_000_000) })
  const after = await validate(apiUrl, {})

  t.strictSame([broken.status, await broken.json()], [400, { status: 'error', error: 'The body is not valid JSON.' }])
  t.equal(large.status, 413)
  t.equal(after.status, 400, 'and the API goes on')
})

t.test('a caller that leaves in the middle of its body does no harm', async t => {
  const credentials = await openApi(t)
  const socket = connect(Number(new URL(credentials.apiUrl).port), '127.0.0.1')
  await once(socket, 'connect')
  socket.end('POST /settings/validate HTTP/1.1\r\nHost: demo\r\nContent-Length: 100\r\n\r\n{"apiUrl"')
  await once(socket.resume(), 'close')

  t.equal((await validate(credentials.apiUrl, credentials)).status, 200)
})

t.test('sources and dashboards need a bearer token', async t => {
  const { apiUrl } = await openApi(t)
  const expired = await signDemoToken({ expiresInSeconds: -1 })
  for (const path of ['/sources', '/sources/penguins', '/sources/penguins/rows']) {
    for (const init of [{}, { headers: { authorization: 'Basic abc' } }, bearer('wrong'), bearer(expired)]) {
      const response = await fetch(apiUrl + path, init)

      t.equal(response.status, 401)
      t.equal(response.headers.get('www-authenticate'), 'Bearer')
      t.match(await response.json(), { status: 'error', error: String })
    }
  }
  t.equal((await fetch(`${apiUrl}/dashboards`, { method: 'POST', body: '{}' })).status, 401)
})

t.test('sources can be searched and come in pages', async t => {
  const { apiUrl, jwtToken } = await openApi(t)
  const list = async (query: string) =>
    (await fetch(`${apiUrl}/sources${query}`, bearer(jwtToken))).json() as Promise<{
      sources: Array<{ id: string }>
      pagination: object
    }>
  const all = await list('')

  t.strictSame(all.pagination, { page: 1, limit: 10, total: 6 })
  t.strictSame(await list('?page=2&limit=4'), {
    status: 'success',
    sources: all.sources.slice(4),
    pagination: { page: 2, limit: 4, total: 6 }
  })
  t.strictSame((await list('?page=9')).sources, [])
  t.strictSame(
    (await list('?search=SEATTLE%20wind')).sources.map(({ id }) => id),
    ['seattle-weather']
  )
  t.strictSame((await list('?search=nothing%20like%20this')).sources, [])
  for (const query of ['?page=0', '?page=1.5', '?limit=101', '?limit=many', '?limit=']) {
    t.equal((await fetch(`${apiUrl}/sources${query}`, bearer(jwtToken))).status, 400, query)
  }
})

t.test('a source has a structure and rows', async t => {
  const { apiUrl, jwtToken } = await openApi(t)
  const get = async (path: string) =>
    (await fetch(apiUrl + path, bearer(jwtToken))).json() as Promise<{ source: object; rows: object[] }>

  const { source } = await get('/sources/seattle-weather')
  const { rows } = await get('/sources/seattle-weather/rows')

  t.match(source, { sourceId: 'seattle-weather', title: 'Seattle weather', rowCount: 1461 })
  t.match(source, {
    columns: [
      { name: 'date', type: 'time' },
      { name: 'precipitation', type: 'number' },
      {},
      {},
      {},
      { name: 'weather', type: 'category' }
    ]
  })
  t.equal(rows.length, 1461)
  t.strictSame(rows[0], {
    date: '2012-01-01',
    precipitation: 0,
    temp_max: 12.8,
    temp_min: 5,
    wind: 4.7,
    weather: 'drizzle'
  })
})

t.test('what does not exist is not found', async t => {
  const { apiUrl, jwtToken } = await openApi(t)
  for (const path of [
    '/',
    '/sources/nope',
    '/sources/nope/rows',
    '/sources/constructor',
    '/sources/..%2f..%2fpackage.json/rows',
    '/dashboards/nope',
    '//evil',
    '/settings/validate'
  ]) {
    const response = await fetch(apiUrl + path, bearer(jwtToken))

    t.equal(response.status, 404, path)
    t.match(await response.json(), { status: 'error', error: String })
  }
  t.equal((await fetch(`${apiUrl}/sources/%zz`, bearer(jwtToken))).status, 400)
})

t.test('a dashboard is a page that anybody with its address can read', async t => {
  const { apiUrl, jwtToken } = await openApi(t)
  const charts = [
    { name: 'Wind <b>& "weather"</b>', sourceId: 'seattle-weather', chart: 'bar', x: 'weather', y: 'wind' },
    { name: 'Course', sourceId: 'seattle-weather', chart: 'line', x: 'date', y: 'temp_max', timeUnit: 'month' },
    { name: 'Both', sourceId: 'seattle-weather', chart: 'scatter', x: 'temp_max', y: 'wind', splitBy: 'weather' },
    {
      name: 'Usual',
      sourceId: 'seattle-weather',
      chart: 'histogram',
      x: 'wind',
      only: [{ column: 'date', values: ['2015'] }]
    }
  ]
  const created = await fetch(`${apiUrl}/dashboards`, {
    method: 'POST',
    ...bearer(jwtToken),
    body: JSON.stringify({ title: '<script>alert(1)</script>', sourceId: 'seattle-weather', charts })
  })
  const { id, path } = (await created.json()) as { id: string; path: string }
  const page = await fetch(apiUrl + path)
  const html = await page.text()

  t.equal(created.status, 201)
  t.match(id, /^[\w-]{24}$/)
  t.equal(page.status, 200)
  t.match(page.headers.get('content-type'), 'text/html')
  t.match(page.headers.get('content-security-policy'), "default-src 'none'")
  t.notMatch(html, '<script>')
  t.notMatch(html, '<b>')
  t.match(html, '&lt;script&gt;alert(1)&lt;/script&gt;')
  t.equal(html.match(/<svg /g)?.length, 4)
  t.match(html, 'The mean wind is highest for snow (4.412, 26 rows).')
  t.match(html, 'NOAA')
  t.notMatch(html, /NaN|undefined|Infinity/)
})

t.test('a dashboard that cannot be drawn is refused with the reason', async t => {
  const { apiUrl, jwtToken } = await openApi(t)
  const good = { name: 'n', sourceId: 'penguins', chart: 'bar', x: 'Species', aggregate: 'count' }
  const add = (body: object) =>
    fetch(`${apiUrl}/dashboards`, { method: 'POST', ...bearer(jwtToken), body: JSON.stringify(body) })
  const cases: Array<[object, RegExp]> = [
    [{}, /"title" and a "sourceId"/],
    [{ title: 't', sourceId: 'penguins' }, /list of 1 to 12 charts/],
    [{ title: 't', sourceId: 'penguins', charts: [] }, /list of 1 to 12 charts/],
    [{ title: 't', sourceId: 'penguins', charts: [null] }, /must be an object/],
    [{ title: 't', sourceId: 'penguins', charts: [{ ...good, chart: 'pie' }] }, /"pie" is not one of/],
    [{ title: 't', sourceId: 'penguins', charts: [{ ...good, chart: { toString: 1 } }] }, /"chart" is not one of/],
    [{ title: 't', sourceId: 'penguins', charts: [{ ...good, name: ['n'] }] }, /"name" must be text/],
    [
      { title: 't', sourceId: 'penguins', charts: [{ ...good, only: [{ column: 'Sex', values: [{}] }] }] },
      /"only" must be a list/
    ],
    [
      { title: 't', sourceId: 'penguins', charts: [{ ...good, x: 'Wings' }] },
      /no column "Wings"; the columns are Species/
    ],
    [{ title: 't', sourceId: 'penguins', charts: [{ ...good, aggregate: 'mean' }] }, /needs "y"/],
    [{ title: 't', sourceId: 'penguins', charts: [{ ...good, only: 'all' }] }, /"only" must be a list/],
    [{ title: 't', sourceId: 'penguins', charts: [{ ...good, limit: 0 }] }, /1 to 100/],
    [{ title: 't', sourceId: 'penguins', charts: [{ ...good, limit: { toString: 1 } }] }, /1 to 100/]
  ]
  for (const [body, reason] of cases) {
    const response = await add(body)

    t.equal(response.status, 400)
    t.match(await response.json(), { status: 'error', error: reason })
  }
  t.equal((await add({ title: 't', sourceId: 'penguins', charts: [good] })).status, 201)
})

t.test('only the latest hundred dashboards are kept', async t => {
  const { apiUrl, jwtToken } = await openApi(t)
  const body = JSON.stringify({
    title: 't',
    sourceId: 'penguins',
    charts: [{ name: 'n', sourceId: 'penguins', chart: 'bar', x: 'Sex', aggregate: 'count' }]
  })
  const paths = []
  for (let count = 0; count < 101; count++) {
    const response = await fetch(`${apiUrl}/dashboards`, { method: 'POST', ...bearer(jwtToken), body })
    paths.push(((await response.json()) as { path: string }).path)
  }

  t.equal((await fetch(apiUrl + paths[0])).status, 404)
  t.equal((await fetch(apiUrl + paths[1])).status, 200)
  t.equal((await fetch(apiUrl + paths[100])).status, 200)
})

t.test('a secret of its own keeps the demo secret out', async t => {
  const secret = 'only-this-instance-knows-this-secret'
  const api = await startDemoApi({ secret })
  t.teardown(() => api.close())

  t.equal((await validate(api.url, { apiUrl: api.url, jwtToken: await signDemoToken({ secret }) })).status, 200)
  t.equal((await validate(api.url, { apiUrl: api.url, jwtToken: await signDemoToken() })).status, 401)
})

t.test('closing frees the port, also the second time', async t => {
  const api = await startDemoApi()
  await fetch(`${api.url}/sources`)
  await api.close()
  await api.close()

  await t.rejects(fetch(`${api.url}/sources`))
})

t.test('as a script it says where it listens and ends on SIGTERM', async t => {
  const script = fileURLToPath(new URL('../../examples/demo-api.mjs', import.meta.url))
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, DEMO_API_PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  t.teardown(() => {
    child.kill('SIGKILL')
  })
  const [output] = (await once(child.stdout, 'data')) as [Buffer]
  const [url] = /http:\S+/.exec(String(output)) ?? ['']
  t.equal((await fetch(`${url}/sources`)).status, 401)

  const exited = once(child, 'exit')
  child.kill('SIGTERM')

  t.strictSame(await exited, [0, null])
})
