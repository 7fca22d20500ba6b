# The service, without an MCP server. docs/deployment.md shows how to add one, in JavaScript or in Python.
#   docker build -t mcp-client --build-arg REVISION="$(git rev-parse HEAD)" .
ARG NODE_IMAGE=node:24-bookworm-slim

FROM ${NODE_IMAGE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY tsconfig.json app.ts ./
COPY scripts/build.mjs scripts/environment.mjs scripts/
COPY lib lib/
COPY plugins plugins/
COPY routes routes/
RUN npm run build
COPY scripts/sbom.mjs scripts/
RUN node scripts/sbom.mjs > sbom.cdx.json

FROM ${NODE_IMAGE}
# PID 1 must pass signals on and collect the processes that MCP servers leave behind; Node does neither for strangers.
RUN apt-get update && apt-get install -y --no-install-recommends tini && rm -rf /var/lib/apt/lists/*
ENV NODE_ENV=production
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN --mount=type=cache,target=/root/.npm npm ci --omit=dev
COPY scripts/start.mjs scripts/api-key.mjs scripts/environment.mjs scripts/fastify-cli.mjs scripts/signals.mjs scripts/
COPY --from=build /app/dist dist/
# What is in the image: docker run --rm mcp-client cat sbom.cdx.json
COPY --from=build /app/sbom.cdx.json ./

# The revision comes late, so that another one builds no layer anew.
ARG REVISION=unknown
LABEL org.opencontainers.image.title="mcp-client" \
  org.opencontainers.image.description="MCP tools over plain HTTP for a signed-in user: sessions in Redis, a fresh MCP server per request" \
  org.opencontainers.image.version="0.1.0" \
  org.opencontainers.image.revision="$REVISION" \
  org.opencontainers.image.licenses="MIT"

USER node
EXPOSE 33000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
  CMD ["node", "-e", "fetch(`http://127.0.0.1:${process.env.MCP_CLIENT_PORT || 33000}${process.env.MCP_BASE_PATH || ''}/livez`).then(({ ok }) => process.exit(ok ? 0 : 1), () => process.exit(1))"]
ENTRYPOINT ["/usr/bin/tini", "--"]
CMD ["node", "--v8-pool-size=1", "scripts/start.mjs"]
