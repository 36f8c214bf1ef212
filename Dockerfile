# One image, the role by the command: node dist/workers/NAME.js, or orderfleet's own commands. docs/deploy.md says how.
ARG NODE=node:24-bookworm-slim

FROM ${NODE} AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/build.mjs
COPY src src
COPY workers workers
RUN npm run build

FROM ${NODE} AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# optional: the embedded Postgres' binaries, which a container has no use for
RUN npm ci --omit=dev --omit=optional

FROM ${NODE}
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="orderfleet" \
      org.opencontainers.image.description="A fleet of queue-driven workers for sellers on Temu" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
# in a container everything listens on all addresses; a port of its own for what is scraped and probed
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 METRICS_PORT=9400
WORKDIR /app
COPY package.json ./
COPY --from=dependencies /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY drizzle drizzle
COPY deploy/healthcheck.mjs healthcheck.mjs
# user "node"; by number, since Kubernetes cannot tell from a name that it is not root
USER 1000:1000
EXPOSE 8080 9400
# node is process 1: the workers hear SIGTERM themselves, finish or hand back their jobs, and exit 0
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=30s --retries=3 CMD ["node", "healthcheck.mjs"]
CMD ["node", "dist/src/cli/main.js", "--help"]
