import t from 'tap'
import { failure } from '../support/requests.ts'
import { build } from '../support/service.ts'

t.test('an unknown path is 404, whatever the method', async t => {
  const app = await build(t)
  const requests: Array<[method: 'GET' | 'POST' | 'PUT' | 'DELETE', url: string, path: string]> = [
    ['GET', '/', '/'], ['GET', '/nope', '/nope'], ['POST', '/nope?token=1', '/nope'], ['PUT', '/init/', '/init/'],
    ['POST', '/Init', '/Init'], ['DELETE', '/__proto__', '/__proto__'], ['GET', '/%20', '/%20']
  ]
  for (const [method, url, path] of requests) {
    const response = await app.inject({ method, url })
    t.equal(response.statusCode, 404, url)
    t.strictSame(response.json(), failure('NOT_FOUND', `There is no ${method} ${path}`))
  }
})

t.test('a wrong method is 405, and Allow names the right ones', async t => {
  const app = await build(t)
  const requests: Array<[method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, allowed: string]> = [
    ['GET', '/init', 'POST'], ['PUT', '/tools', 'GET, POST'], ['PUT', '/call-tool', 'POST'], ['DELETE', '/shutdown', 'POST'],
    ['POST', '/tools-schema', 'GET'], ['POST', '/health', 'GET'], ['PATCH', '/livez', 'GET'],
    ['POST', '/readyz', 'GET'], ['POST', '/openapi.json', 'GET']
  ]
  for (const [method, path, allowed] of requests) {
    const response = await app.inject({ method, url: `${path}?a=1` })
    t.equal(response.statusCode, 405, path)
    t.strictSame(response.json(), failure('METHOD_NOT_ALLOWED', `${path} takes ${allowed}`))
    t.equal(response.headers.allow, allowed, path)
  }
})

t.test('404 and 405 come before any fault of the body', async t => {
  const app = await build(t)
  for (const payload of ['garbage', '[]', '{"session_id":7}']) {
    t.strictSame(
      (await app.inject({ method: 'POST', url: '/nope', payload })).json(),
      failure('NOT_FOUND', 'There is no POST /nope'), payload
    )
    t.strictSame(
      (await app.inject({ method: 'POST', url: '/health', payload })).json(),
      failure('METHOD_NOT_ALLOWED', '/health takes GET'), payload
    )
  }
})

t.test('a path that cannot be decoded is 400', async t => {
  const app = await build(t)
  for (const url of ['/%ZZ', '/init%', '/%c3%28']) {
    const response = await app.inject({ method: 'GET', url })
    t.equal(response.statusCode, 400, url)
    t.strictSame(response.json(), failure('BAD_REQUEST', `'${url}' is not a valid url component`))
    t.match(response.headers['content-type'], /^application\/json/)
  }
})
