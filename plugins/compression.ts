import { constants } from 'node:zlib'
import compress from '@fastify/compress'
import fp from 'fastify-plugin'
import { addVary } from './response-headers.ts'

/**
 * The routes whose answers are compressed: lists of tools, and the description of the API. They hold no credential, no
 * token, no value and no result.
 */
const compressedPaths = /^\/(tools|tools-schema|openapi\.json|openapi\/\*|docs(\/.*)?)$/

/** Answers below one packet gain nothing (bytes). */
const thresholdBytes = 1_024

/**
 * Edge phase: compresses long answers for callers who take them so. Never others than those of `compressedPaths`.
 *
 * The length of a compressed text tells how much of it repeats itself. Where a caller's own words stand beside a secret
 * in one answer, somebody who sees only lengths can find the secret letter by letter (BREACH). So answers with tokens,
 * values or results are not compressed, nor are failures, which may repeat the request.
 *
 * No compressed answer is kept: 1 MB takes 10 ms of another thread, and a caller who has the list is answered 304.
 *
 * @see https://breachattack.com
 */
export default fp(async (fastify) => {
  // Before the package's own hook, which looks at the route.
  fastify.addHook('onRoute', route => {
    if (compressedPaths.test(route.url)) route.compress = {}
  })
  fastify.addHook('onSend', (request, reply, payload, done) => {
    if (!compressedPaths.test(request.routeOptions.url ?? '')) return done()
    // The package says so only of answers that it compressed, and looks for the name in lower case.
    addVary(reply, ['accept-encoding'])
    // This is how the package is told not to.
    if (reply.statusCode >= 400) request.headers['x-no-compression'] = '1'
    done()
  })
  await fastify.register(compress, {
    global: false,
    globalDecompression: false,
    threshold: thresholdBytes,
    encodings: ['br', 'gzip', 'deflate', 'identity'],
    // Both take 10 ms for 1 MB of tools. Gzip's default takes three times as long, for a fifth less to send.
    zlibOptions: { level: 3 },
    brotliOptions: { params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }
  })
}, { name: 'compression' })
