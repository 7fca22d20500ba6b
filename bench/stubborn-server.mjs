/* The tiny server, but it ignores the end of its input, and SIGTERM. */
import './tiny-server.mjs'

setInterval(() => {}, 1_000)
process.on('SIGTERM', () => {})
